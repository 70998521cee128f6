"""Softmax over those entries of the last axis that a mask keeps."""

TEXT = """
p[*s, c] = masked_softmax(z[*s, c], keep[*s, c], scale=1.0)

keep[*s, c] in bool
e[*s, c] = where(keep[*s, c], exp(scale*z[*s, c]), 0)
p[*s, c] = e[*s, c]/sum[c](e[*s, c])
"""
SIZES = {"s": 1024, "c": 1024}
GROUP = "distributions"
SOURCE = "Vaswani et al., Attention Is All You Need, arXiv:1706.03762"
NOTES = ("A row of which nothing is kept gives 0, where many libraries give NaN.",)


def reference(torch, z, keep, scale):
    """What torch itself computes; the tests differentiate it with autograd."""
    return torch.softmax((scale * z).masked_fill(~keep, -1e300), dim=-1) * keep
