"""Gated linear unit whose gate is a tanh-approximated GELU, of the two halves of a projection."""

TEXT = """
y[*s] = geglu_tanh(a[*s], b[*s])

u[*s]   = sqrt(2/pi)*(a[*s] + 0.044715*a[*s]**3)
t[*s]   = tanh(u[*s])
cdf[*s] = (1 + t[*s])/2
g[*s]   = a[*s]*cdf[*s]
y[*s]   = g[*s]*b[*s]
"""
GROUP = "gated units"
SOURCE = "Shazeer, GLU Variants Improve Transformer, arXiv:2002.05202"


def reference(torch, a, b):
    """What torch itself computes; the tests differentiate it with autograd."""
    return torch.nn.functional.gelu(a, approximate="tanh") * b
