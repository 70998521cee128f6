"""Logarithm of the logistic sigmoid."""

TEXT = """
y[*s] = logsigmoid(x[*s])

y[*s] = -log(1 + exp(-x[*s]))
"""
GROUP = "activations"
SOURCE = "Goodfellow, Bengio and Courville, Deep Learning (2016), section 3.10"


def reference(torch, x):
    """What torch itself computes; the tests differentiate it with autograd."""
    return torch.nn.functional.logsigmoid(x)
