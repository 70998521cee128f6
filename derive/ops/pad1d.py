"""Padding of the last axis with zeros."""

TEXT = """
y[*s, i] = pad1d(x[*s, l], left=1, right=1)

size(i)  = size(l) + left + right
y[*s, i] = x[*s, i - left]
"""
SIZES = {"s": 1024, "l": 256, "i": 258}
GROUP = "convolution and pooling"
SOURCE = "Dumoulin and Visin, A guide to convolution arithmetic for deep learning, arXiv:1603.07285"


def reference(torch, x, left, right):
    """What torch itself computes; the tests differentiate it with autograd."""
    return torch.nn.functional.pad(x, (left, right))
