"""Padding of the last axis with the entries at its ends."""

TEXT = """
y[*s, i] = replicate_pad1d(x[*s, l], left=1, right=1)

size(i)  = size(l) + left + right
y[*s, i] = x[*s, i - left] + where(i < left, x[*s, 0], 0) + where(i >= left + size(l), x[*s, size(l) - 1], 0)
"""
SIZES = {"s": 1024, "l": 256, "i": 258}
GROUP = "convolution and pooling"
SOURCE = "Dumoulin and Visin, A guide to convolution arithmetic for deep learning, arXiv:1603.07285"


def reference(torch, x, left, right):
    """What torch itself computes; the tests differentiate it with autograd."""
    ends = [x[..., :1]] * left + [x] + [x[..., -1:]] * right
    return torch.cat(ends, -1)
