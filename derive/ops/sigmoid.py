"""Logistic sigmoid."""

TEXT = """
y[*s] = sigmoid(x[*s])

y[*s] = 1 / (1 + exp(-x[*s]))
"""
VARIANTS = ("accurate",)
GROUP = "activations"
SOURCE = "Han and Moraga, The influence of the sigmoid function parameters on the speed of backpropagation (1995)"


def reference(torch, x):
    """What torch itself computes; the tests differentiate it with autograd."""
    return torch.sigmoid(x)
