"""Padding of the last axis with what lies next to its ends, mirrored."""

TEXT = """
y[*s, i] = reflect_pad1d(x[*s, l], left=1, right=1)

size(i)       = size(l) + left + right
before[*s, i] = where(i < left, x[*s, left - i], 0)
behind[*s, i] = where(i >= left + size(l), x[*s, 2*size(l) - 2 - i + left], 0)
y[*s, i]      = before[*s, i] + x[*s, i - left] + behind[*s, i]
"""
SIZES = {"s": 1024, "l": 256, "i": 258}
GROUP = "convolution and pooling"
SOURCE = "Dumoulin and Visin, A guide to convolution arithmetic for deep learning, arXiv:1603.07285"


def reference(torch, x, left, right):
    """What torch itself computes; the tests differentiate it with autograd."""
    ends = [x[..., 1 : left + 1].flip(-1), x, x[..., x.shape[-1] - 1 - right : x.shape[-1] - 1].flip(-1)]
    return torch.cat(ends, -1)
