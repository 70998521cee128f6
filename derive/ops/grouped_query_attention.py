"""Scaled dot-product attention in which a group of queries shares a key and a value."""

TEXT = """
o[n, g, h, i, d] = grouped_query_attention(q[n, g, h, i, f], k[n, g, j, f], v[n, g, j, d])

S[n, g, h, i, j] = sum[f](q[n, g, h, i, f]*k[n, g, j, f])/sqrt(size(f))
P[n, g, h, i, j] = exp(S[n, g, h, i, j])/sum[j](exp(S[n, g, h, i, j]))
o[n, g, h, i, d] = sum[j](P[n, g, h, i, j]*v[n, g, j, d])
"""
SIZES = {"n": 4, "g": 2, "h": 4, "i": 4096, "j": 4096, "f": 64, "d": 64}
GROUP = "attention"
SOURCE = "Ainslie et al., GQA, arXiv:2305.13245"


def reference(torch, q, k, v):
    """What torch itself computes; the tests differentiate it with autograd."""
    return torch.nn.functional.scaled_dot_product_attention(q, k.unsqueeze(2), v.unsqueeze(2))
