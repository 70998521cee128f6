"""Kernels in C, with what compiles and calls them."""
