"""Gaussian error linear unit, the exact form with erf."""

TEXT = """
y[*s] = gelu(x[*s])

cdf[*s] = (1 + erf(x[*s] / sqrt(2))) / 2
y[*s]   = x[*s] * cdf[*s]
"""
VARIANTS = ("accurate",)
GROUP = "activations"
SOURCE = "Hendrycks and Gimpel, Gaussian Error Linear Units, arXiv:1606.08415"


def reference(torch, x):
    """What torch itself computes; the tests differentiate it with autograd."""
    return torch.nn.functional.gelu(x)
