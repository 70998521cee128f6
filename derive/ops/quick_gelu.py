"""Gaussian error linear unit, approximated by a logistic sigmoid."""

TEXT = """
y[*s] = quick_gelu(x[*s], scale=1.702)

g[*s] = sigmoid(scale*x[*s])
y[*s] = x[*s]*g[*s]
"""
GROUP = "activations"
SOURCE = "Hendrycks and Gimpel, Gaussian Error Linear Units, arXiv:1606.08415"


def reference(torch, x, scale):
    """What torch itself computes; the tests differentiate it with autograd."""
    return x * torch.sigmoid(scale * x)
