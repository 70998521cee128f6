"""Convolution over two axes, as a cross-correlation."""

TEXT = """
y[n, o, p, q] = conv2d(x[n, c, h, w], W[o, c, k, m], b[o], stride=1, pad=0, dilation=1)

size(p)       = (size(h) + 2*pad - dilation*(size(k) - 1) - 1)//stride + 1
size(q)       = (size(w) + 2*pad - dilation*(size(m) - 1) - 1)//stride + 1
y[n, o, p, q] = b[o] + sum[c, k, m](x[n, c, p*stride + k*dilation - pad, q*stride + m*dilation - pad]*W[o, c, k, m])
"""
SIZES = {"n": 32, "o": 64, "c": 64, "h": 56, "w": 56, "p": 56, "q": 56, "k": 3, "m": 3}
GROUP = "convolution and pooling"
SOURCE = "Dumoulin and Visin, A guide to convolution arithmetic for deep learning, arXiv:1603.07285"


def reference(torch, x, W, b, stride, pad, dilation):
    """What torch itself computes; the tests differentiate it with autograd."""
    return torch.nn.functional.conv2d(x, W, b, stride, pad, dilation)
