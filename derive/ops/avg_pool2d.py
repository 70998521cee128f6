"""Average pooling over windows of two axes, of which padding counts as zeros."""

TEXT = """
y[n, c, p, q] = avg_pool2d(x[n, c, h, w], kernel=2, stride=2, pad=0)

size(k)       = kernel
size(m)       = kernel
size(p)       = (size(h) + 2*pad - kernel)//stride + 1
size(q)       = (size(w) + 2*pad - kernel)//stride + 1
y[n, c, p, q] = sum[k, m](x[n, c, p*stride + k - pad, q*stride + m - pad])/(size(k)*size(m))
"""
SIZES = {"n": 32, "c": 64, "h": 112, "w": 112, "p": 56, "q": 56, "k": 2, "m": 2}
GROUP = "convolution and pooling"
SOURCE = "Dumoulin and Visin, A guide to convolution arithmetic for deep learning, arXiv:1603.07285"


def reference(torch, x, kernel, stride, pad):
    """What torch itself computes; the tests differentiate it with autograd."""
    return torch.nn.functional.avg_pool2d(x, kernel, stride, pad)
