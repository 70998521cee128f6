"""Upsampling of two axes, of which each entry is repeated."""

TEXT = """
y[n, c, (h, p = scale), (w, q = scale)] = upsample_nearest2d(x[n, c, h, w], scale=2)

y[n, c, (h, p), (w, q)] = x[n, c, h, w]
"""
SIZES = {"n": 32, "c": 64, "h": 56, "w": 56}
GROUP = "convolution and pooling"
SOURCE = "Zeiler and Fergus, Visualizing and Understanding Convolutional Networks, arXiv:1311.2901"


def reference(torch, x, scale):
    """What torch itself computes; the tests differentiate it with autograd."""
    return x.repeat_interleave(scale, dim=2).repeat_interleave(scale, dim=3)
