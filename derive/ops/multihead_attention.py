"""Scaled dot-product attention of several heads, which lie side by side in the features."""

TEXT = """
o[n, i, (h, d)] = multihead_attention(q[n, i, (h = heads, f)], k[n, j, (h, f)], v[n, j, (h, d)], heads=2)

S[n, h, i, j]   = sum[f](q[n, i, h, f]*k[n, j, h, f])/sqrt(size(f))
P[n, h, i, j]   = exp(S[n, h, i, j])/sum[j](exp(S[n, h, i, j]))
o[n, i, (h, d)] = sum[j](P[n, h, i, j]*v[n, j, h, d])
"""
SIZES = {"n": 4, "h": 8, "i": 4096, "j": 4096, "f": 64, "d": 64}
GROUP = "attention"
SOURCE = "Vaswani et al., Attention Is All You Need, arXiv:1706.03762"


def reference(torch, q, k, v, heads):
    """What torch itself computes; the tests differentiate it with autograd."""
    q, k, v = (x.unflatten(2, (heads, -1)).transpose(1, 2) for x in (q, k, v))
    return torch.nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
