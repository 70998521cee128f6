"""Convolution over one axis, as a cross-correlation."""

TEXT = """
y[n, o, i] = conv1d(x[n, c, l], W[o, c, k], b[o], stride=1, pad=0, dilation=1)

size(i)    = (size(l) + 2*pad - dilation*(size(k) - 1) - 1)//stride + 1
y[n, o, i] = b[o] + sum[c, k](x[n, c, i*stride + k*dilation - pad]*W[o, c, k])
"""
SIZES = {"n": 32, "o": 64, "c": 64, "l": 256, "i": 256, "k": 3}
GROUP = "convolution and pooling"
SOURCE = "Dumoulin and Visin, A guide to convolution arithmetic for deep learning, arXiv:1603.07285"


def reference(torch, x, W, b, stride, pad, dilation):
    """What torch itself computes; the tests differentiate it with autograd."""
    return torch.nn.functional.conv1d(x, W, b, stride, pad, dilation)
