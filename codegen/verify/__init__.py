"""Emitted kernels against the equations, and against autograd."""
