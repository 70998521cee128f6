"""Exponential linear unit."""

TEXT = """
y[*s] = elu(x[*s], alpha=1.0)

y[*s] = where(x[*s] <= 0, alpha*expm1(x[*s]), x[*s])
"""
GROUP = "activations"
SOURCE = "Clevert, Unterthiner and Hochreiter, Exponential Linear Units, arXiv:1511.07289"


def reference(torch, x, alpha):
    """What torch itself computes; the tests differentiate it with autograd."""
    return torch.nn.functional.elu(x, alpha)
