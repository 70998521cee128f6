"""Leaky rectified linear unit: a small slope for negative numbers, also at 0, as torch does."""

TEXT = """
y[*s] = leaky_relu(x[*s], slope=0.01)

y[*s] = where(x[*s] <= 0, slope*x[*s], x[*s])
"""
GROUP = "activations"
SOURCE = "Maas, Hannun and Ng, Rectifier Nonlinearities Improve Neural Network Acoustic Models (2013)"


def reference(torch, x, slope):
    """What torch itself computes; the tests differentiate it with autograd."""
    return torch.nn.functional.leaky_relu(x, slope)
