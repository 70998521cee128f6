"""Scaled dot-product attention."""

TEXT = """
o[*s, i, d] = attention(q[*s, i, f], k[*s, j, f], v[*s, j, d])

S[*s, i, j] = sum[f](q[*s, i, f] * k[*s, j, f]) / sqrt(size(f))
P[*s, i, j] = exp(S[*s, i, j]) / sum[j](exp(S[*s, i, j]))
o[*s, i, d] = sum[j](P[*s, i, j] * v[*s, j, d])
"""
SIZES = {"s": 8, "i": 4096, "j": 4096, "f": 64, "d": 64}
GROUP = "attention"
SOURCE = "Vaswani et al., Attention Is All You Need, arXiv:1706.03762; Dao et al., FlashAttention, arXiv:2205.14135"


def reference(torch, q, k, v):
    """What torch itself computes; the tests differentiate it with autograd."""
    return torch.nn.functional.scaled_dot_product_attention(q, k, v)
