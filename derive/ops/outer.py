"""Outer product of two vectors."""

TEXT = """
y[i, j] = outer(a[i], b[j])

y[i, j] = a[i]*b[j]
"""
SIZES = {"i": 512, "j": 512}
GROUP = "linear maps"
SOURCE = "Golub and Van Loan, Matrix Computations (2013), section 1.1"


def reference(torch, a, b):
    """What torch itself computes; the tests differentiate it with autograd."""
    return torch.outer(a, b)
