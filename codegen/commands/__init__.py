"""The commands: one file for each, with its options and its work. Only these modules write files."""
