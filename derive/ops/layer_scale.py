"""A residual branch, scaled by a learned number for each channel."""

TEXT = """
y[*s, d] = layer_scale(x[*s, d], h[*s, d], gamma[d])

y[*s, d] = x[*s, d] + gamma[d]*h[*s, d]
"""
SIZES = {"s": 1024, "d": 1024}
GROUP = "normalization"
SOURCE = "Touvron et al., Going Deeper with Image Transformers, arXiv:2103.17239"


def reference(torch, x, h, gamma):
    """What torch itself computes; the tests differentiate it with autograd."""
    return x + gamma * h
