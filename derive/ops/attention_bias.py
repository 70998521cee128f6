"""Scaled dot-product attention with a bias of the scores."""

TEXT = """
o[*s, i, d] = attention_bias(q[*s, i, f], k[*s, j, f], v[*s, j, d], b[*s, i, j])

S[*s, i, j] = sum[f](q[*s, i, f]*k[*s, j, f])/sqrt(size(f)) + b[*s, i, j]
P[*s, i, j] = exp(S[*s, i, j])/sum[j](exp(S[*s, i, j]))
o[*s, i, d] = sum[j](P[*s, i, j]*v[*s, j, d])
"""
SIZES = {"s": 8, "i": 4096, "j": 4096, "f": 64, "d": 64}
GROUP = "attention"
SOURCE = "Raffel et al., T5, arXiv:1910.10683"


def reference(torch, q, k, v, b):
    """What torch itself computes; the tests differentiate it with autograd."""
    return torch.nn.functional.scaled_dot_product_attention(q, k, v, b)
