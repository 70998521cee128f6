"""Gaussian error linear unit, with the distribution function approximated by tanh."""

TEXT = """
y[*s] = gelu_tanh(x[*s])

t[*s]   = tanh(sqrt(2/pi)*(x[*s] + 0.044715*x[*s]**3))
cdf[*s] = (1 + t[*s])/2
y[*s]   = x[*s]*cdf[*s]
"""
GROUP = "activations"
SOURCE = "Hendrycks and Gimpel, Gaussian Error Linear Units, arXiv:1606.08415"


def reference(torch, x):
    """What torch itself computes; the tests differentiate it with autograd."""
    return torch.nn.functional.gelu(x, approximate="tanh")
