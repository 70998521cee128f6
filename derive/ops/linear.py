"""Affine map of the last axis."""

TEXT = """
y[*s, h] = linear(x[*s, k], W[k, h], b[h])

y[*s, h] = sum[k](x[*s, k] * W[k, h]) + b[h]
"""
SIZES = {"s": 512, "k": 512, "h": 512}
SOURCE = "Goodfellow, Bengio and Courville, Deep Learning (2016), section 6.5"
