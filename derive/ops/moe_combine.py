"""Experts' outputs, summed with the weights of a router."""

TEXT = """
y[n, d] = moe_combine(h[n, e, d], w[n, e])

y[n, d] = sum[e](w[n, e]*h[n, e, d])
"""
SIZES = {"n": 1024, "e": 8, "d": 256}
GROUP = "linear maps"
SOURCE = "Shazeer et al., Outrageously Large Neural Networks, arXiv:1701.06538"


def reference(torch, h, w):
    """What torch itself computes; the tests differentiate it with autograd."""
    return torch.einsum("ne,ned->nd", w, h)
