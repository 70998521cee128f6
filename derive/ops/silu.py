"""Sigmoid-weighted linear unit, also called swish."""

TEXT = """
y[*s] = silu(x[*s])

g[*s] = sigmoid(x[*s])
y[*s] = x[*s] * g[*s]
"""
VARIANTS = ("accurate",)
GROUP = "activations"
SOURCE = "Elfwing, Uchibe and Doya, Sigmoid-Weighted Linear Units, arXiv:1702.03118"


def reference(torch, x):
    """What torch itself computes; the tests differentiate it with autograd."""
    return torch.nn.functional.silu(x)
