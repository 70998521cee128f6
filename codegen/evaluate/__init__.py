"""Trees evaluated over arrays, in arithmetic of any kind."""
