"""Kernels in C, and the Python code that compiles and calls them."""
