"""Hard swish, piecewise quadratic."""

TEXT = """
y[*s] = hardswish(x[*s])

y[*s] = where(x[*s] <= -3, 0, where(x[*s] >= 3, x[*s], x[*s]*(x[*s] + 3)/6))
"""
GROUP = "activations"
SOURCE = "Howard et al., Searching for MobileNetV3, arXiv:1905.02244"


def reference(torch, x):
    """What torch itself computes; the tests differentiate it with autograd."""
    return torch.nn.functional.hardswish(x)
