"""Sliding windows of two axes, side by side: what a convolution multiplies."""

TEXT = """
y[n, c, k, m, p, q] = unfold2d(x[n, c, h, w], kernel=2, stride=1, pad=0)

size(k)             = kernel
size(m)             = kernel
size(p)             = (size(h) + 2*pad - kernel)//stride + 1
size(q)             = (size(w) + 2*pad - kernel)//stride + 1
y[n, c, k, m, p, q] = x[n, c, p*stride + k - pad, q*stride + m - pad]
"""
SIZES = {"n": 8, "c": 16, "h": 32, "w": 32, "p": 31, "q": 31, "k": 2, "m": 2}
GROUP = "convolution and pooling"
SOURCE = "Chellapilla, Puri and Simard, High Performance Convolutional Neural Networks for Document Processing (2006)"


def reference(torch, x, kernel, stride, pad):
    """What torch itself computes; the tests differentiate it with autograd."""
    found = torch.nn.functional.pad(x, (pad,) * 4).unfold(2, kernel, stride).unfold(3, kernel, stride)
    return found.permute(0, 1, 4, 5, 2, 3)
