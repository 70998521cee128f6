"""What kernels are written in: a folder each."""
