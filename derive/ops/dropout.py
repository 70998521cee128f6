"""Dropout by a given mask."""

TEXT = """
y[*s] = dropout(x[*s], keep[*s], rate=0.5)

keep[*s] in bool
y[*s] = keep[*s]*x[*s]/(1 - rate)
"""
SIZES = {"s": 1048576}
GROUP = "activations"
SOURCE = "Srivastava et al., Dropout: A Simple Way to Prevent Neural Networks from Overfitting (2014)"


def reference(torch, x, keep, rate):
    """What torch itself computes; the tests differentiate it with autograd."""
    return x * keep / (1 - rate)
