"""Hyperbolic tangent."""

TEXT = """
y[*s] = tanh(x[*s])

y[*s] = tanh(x[*s])
"""
VARIANTS = ("accurate",)
GROUP = "activations"
SOURCE = "LeCun et al., Efficient BackProp (1998)"


def reference(torch, x):
    """What torch itself computes; the tests differentiate it with autograd."""
    return torch.tanh(x)
