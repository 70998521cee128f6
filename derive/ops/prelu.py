"""Parametric rectified linear unit: a learned slope for each channel."""

TEXT = """
y[n, c, *s] = prelu(x[n, c, *s], slope[c])

y[n, c, *s] = where(x[n, c, *s] <= 0, slope[c]*x[n, c, *s], x[n, c, *s])
"""
SIZES = {"n": 256, "c": 256, "s": 64}
GROUP = "activations"
SOURCE = "He et al., Delving Deep into Rectifiers, arXiv:1502.01852"


def reference(torch, x, slope):
    """What torch itself computes; the tests differentiate it with autograd."""
    return torch.nn.functional.prelu(x, slope)
