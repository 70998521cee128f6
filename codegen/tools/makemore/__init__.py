"""The exercise's training command, and the scripts that belong to it."""
