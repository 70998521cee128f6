"""The backends, which are what kernels are written in: one folder each."""
