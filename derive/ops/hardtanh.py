"""Hard tanh: the number, kept between -1 and 1."""

TEXT = """
y[*s] = hardtanh(x[*s])

y[*s] = where(x[*s] <= -1, -1, where(x[*s] >= 1, 1, x[*s]))
"""
GROUP = "activations"
SOURCE = "Collobert, Large Scale Machine Learning (2004)"


def reference(torch, x):
    """What torch itself computes; the tests differentiate it with autograd."""
    return torch.nn.functional.hardtanh(x)
