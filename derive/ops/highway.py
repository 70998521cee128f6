"""Highway layer: a gate between a transformed and an untouched input."""

TEXT = """
y[*s] = highway(x[*s], h[*s], t[*s])

g[*s] = sigmoid(t[*s])
y[*s] = x[*s] + g[*s]*(h[*s] - x[*s])
"""
GROUP = "gated units"
SOURCE = "Srivastava, Greff and Schmidhuber, Highway Networks, arXiv:1505.00387"


def reference(torch, x, h, t):
    """What torch itself computes; the tests differentiate it with autograd."""
    return x + torch.sigmoid(t) * (h - x)
