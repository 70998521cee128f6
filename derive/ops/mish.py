"""Mish, a smooth self-gated activation."""

TEXT = """
y[*s] = mish(x[*s])

g[*s] = 1/(1 + exp(-x[*s]))
t[*s] = tanh(x[*s] - log(g[*s]))
y[*s] = x[*s]*t[*s]
"""
GROUP = "activations"
SOURCE = "Misra, Mish, arXiv:1908.08681"


def reference(torch, x):
    """What torch itself computes; the tests differentiate it with autograd."""
    return torch.nn.functional.mish(x)
