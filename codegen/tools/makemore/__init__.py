"""The training command of the exercise and what belongs to it."""
