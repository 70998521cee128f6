"""Gated linear unit, of the two halves of a projection."""

TEXT = """
y[*s] = glu(a[*s], b[*s])

g[*s] = sigmoid(b[*s])
y[*s] = a[*s]*g[*s]
"""
GROUP = "gated units"
SOURCE = "Dauphin et al., Language Modeling with Gated Convolutional Networks, arXiv:1612.08083"


def reference(torch, a, b):
    """What torch itself computes; the tests differentiate it with autograd."""
    return a * torch.sigmoid(b)
