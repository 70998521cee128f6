"""Continuously differentiable exponential linear unit."""

TEXT = """
y[*s] = celu(x[*s], alpha=1.0)

alpha > 0
y[*s] = where(x[*s] <= 0, alpha*expm1(x[*s]/alpha), x[*s])
"""
GROUP = "activations"
SOURCE = "Barron, Continuously Differentiable Exponential Linear Units, arXiv:1704.07483"


def reference(torch, x, alpha):
    """What torch itself computes; the tests differentiate it with autograd."""
    return torch.nn.functional.celu(x, alpha)
