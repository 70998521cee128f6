"""Affine map of the last axis."""

TEXT = """
y[*s, h] = linear(x[*s, k], W[k, h], b[h])

y[*s, h] = sum[k](x[*s, k] * W[k, h]) + b[h]
"""
SIZES = {"s": 512, "k": 512, "h": 512}
GROUP = "linear maps"
SOURCE = "Goodfellow, Bengio and Courville, Deep Learning (2016), section 6.5"


def reference(torch, x, W, b):
    """What torch itself computes; the tests differentiate it with autograd."""
    return torch.nn.functional.linear(x, W.mT, b)
