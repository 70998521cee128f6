"""Scaled dot-product attention that sees no later position."""

TEXT = """
o[*s, i, d] = causal_attention(q[*s, i, f], k[*s, j, f], v[*s, j, d])

S[*s, i, j] = sum[f](q[*s, i, f]*k[*s, j, f])/sqrt(size(f))
A[*s, i, j] = where(j <= i, exp(S[*s, i, j]), 0)
P[*s, i, j] = A[*s, i, j]/sum[j](A[*s, i, j])
o[*s, i, d] = sum[j](P[*s, i, j]*v[*s, j, d])
"""
SIZES = {"s": 8, "i": 4096, "j": 4096, "f": 64, "d": 64}
GROUP = "attention"
SOURCE = "Vaswani et al., Attention Is All You Need, arXiv:1706.03762; Dao et al., FlashAttention, arXiv:2205.14135"
NOTES = ("Of fewer queries than keys, the first is at the first key.",)


def reference(torch, q, k, v):
    """What torch itself computes; the tests differentiate it with autograd."""
    return torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
