"""Logarithm of the sum of exponentials over the last axis."""

TEXT = """
y[*s] = logsumexp(z[*s, c])

y[*s] = log(sum[c](exp(z[*s, c])))
"""
SIZES = {"s": 1024, "c": 1024}
GROUP = "distributions"
SOURCE = "Boyd and Vandenberghe, Convex Optimization (2004), section 3.1.5"


def reference(torch, z):
    """What torch itself computes; the tests differentiate it with autograd."""
    return torch.logsumexp(z, dim=-1)
