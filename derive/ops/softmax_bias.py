"""Softmax over the last axis of scores with a scale and a bias, such as a mask."""

TEXT = """
p[*s, c] = softmax_bias(z[*s, c], b[*s, c], scale=1.0)

x[*s, c] = scale*z[*s, c] + b[*s, c]
p[*s, c] = exp(x[*s, c])/sum[c](exp(x[*s, c]))
"""
SIZES = {"s": 1024, "c": 1024}
GROUP = "distributions"
SOURCE = "Vaswani et al., Attention Is All You Need, arXiv:1706.03762"


def reference(torch, z, b, scale):
    """What torch itself computes; the tests differentiate it with autograd."""
    return torch.softmax(scale * z + b, dim=-1)
