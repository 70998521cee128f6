"""Tanh shrinkage."""

TEXT = """
y[*s] = tanhshrink(x[*s])

y[*s] = x[*s] - tanh(x[*s])
"""
GROUP = "activations"
SOURCE = "PyTorch's Tanhshrink layer"


def reference(torch, x):
    """What torch itself computes; the tests differentiate it with autograd."""
    return torch.nn.functional.tanhshrink(x)
