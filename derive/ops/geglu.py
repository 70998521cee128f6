"""Gated unit with the exact gelu as its gate."""

TEXT = """
y[*s] = geglu(a[*s], b[*s])

y[*s] = gelu(a[*s])*b[*s]
"""
GROUP = "gated units"
SOURCE = "Shazeer, GLU Variants Improve Transformer, arXiv:2002.05202"


def reference(torch, a, b):
    """What torch itself computes; the tests differentiate it with autograd."""
    return torch.nn.functional.gelu(a) * b
