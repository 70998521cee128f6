"""Squared rectified linear unit."""

TEXT = """
y[*s] = squared_relu(x[*s])

y[*s] = where(x[*s] <= 0, 0, x[*s]**2)
"""
GROUP = "activations"
SOURCE = "So et al., Primer, arXiv:2109.08668"


def reference(torch, x):
    """What torch itself computes; the tests differentiate it with autograd."""
    return torch.relu(x) ** 2
