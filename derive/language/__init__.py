"""The language of equations: its text to an op, and trees back to text."""
