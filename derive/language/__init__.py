"""The language of equations: from text to an op, and from trees back to text."""
