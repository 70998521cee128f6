"""Rectified linear unit; its derivative at 0 is taken to be 0, and NaN stays NaN, as torch does."""

TEXT = """
y[*s] = relu(x[*s])

y[*s] = where(x[*s] <= 0, 0, x[*s])
"""
GROUP = "activations"
SOURCE = "Nair and Hinton, Rectified Linear Units Improve Restricted Boltzmann Machines (2010)"


def reference(torch, x):
    """What torch itself computes; the tests differentiate it with autograd."""
    return torch.relu(x)
