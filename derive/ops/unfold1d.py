"""Sliding windows of one axis, side by side."""

TEXT = """
y[n, c, k, i] = unfold1d(x[n, c, l], kernel=2, stride=1, pad=0)

size(k)       = kernel
size(i)       = (size(l) + 2*pad - kernel)//stride + 1
y[n, c, k, i] = x[n, c, i*stride + k - pad]
"""
SIZES = {"n": 32, "c": 64, "l": 256, "i": 255, "k": 2}
GROUP = "convolution and pooling"
SOURCE = "Dumoulin and Visin, A guide to convolution arithmetic for deep learning, arXiv:1603.07285"


def reference(torch, x, kernel, stride, pad):
    """What torch itself computes; the tests differentiate it with autograd."""
    return torch.nn.functional.pad(x, (pad, pad)).unfold(2, kernel, stride).mT
