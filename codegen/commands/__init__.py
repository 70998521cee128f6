"""The commands, a file each with its options and what it does. Only these modules write files."""
