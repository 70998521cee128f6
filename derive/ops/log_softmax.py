"""Logarithm of the softmax over the last axis."""

TEXT = """
y[*s, c] = log_softmax(z[*s, c])

y[*s, c] = log(exp(z[*s, c]) / sum[c](exp(z[*s, c])))
"""
GROUP = "distributions"
SOURCE = "Goodfellow, Bengio and Courville, Deep Learning (2016), section 6.2.2.3"


def reference(torch, z):
    """What torch itself computes; the tests differentiate it with autograd."""
    return torch.log_softmax(z, dim=-1)
