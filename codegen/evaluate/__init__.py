"""Trees evaluated over arrays, in floating point or at any number of digits."""
