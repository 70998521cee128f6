"""Softplus, a smooth rectified linear unit."""

TEXT = """
y[*s] = softplus(x[*s])

g[*s] = 1/(1 + exp(-x[*s]))
y[*s] = x[*s] - log(g[*s])
"""
GROUP = "activations"
SOURCE = "Dugas et al., Incorporating Second-Order Functional Knowledge for Better Option Pricing (2000)"


def reference(torch, x):
    """What torch itself computes; the tests differentiate it with autograd."""
    return torch.nn.functional.softplus(x, threshold=1e3)
