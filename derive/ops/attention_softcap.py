"""Scaled dot-product attention whose scores are capped by tanh."""

TEXT = """
o[*s, i, d] = attention_softcap(q[*s, i, f], k[*s, j, f], v[*s, j, d], cap=50.0)

cap > 0
S[*s, i, j] = sum[f](q[*s, i, f]*k[*s, j, f])/sqrt(size(f))
T[*s, i, j] = tanh(S[*s, i, j]/cap)
P[*s, i, j] = exp(cap*T[*s, i, j])/sum[j](exp(cap*T[*s, i, j]))
o[*s, i, d] = sum[j](P[*s, i, j]*v[*s, j, d])
"""
SIZES = {"s": 8, "i": 4096, "j": 4096, "f": 64, "d": 64}
GROUP = "attention"
SOURCE = "Gemma Team, Gemma 2, arXiv:2408.00118"


def reference(torch, q, k, v, cap):
    """What torch itself computes; the tests differentiate it with autograd."""
    scores = cap * torch.tanh(q @ k.mT / q.shape[-1] ** 0.5 / cap)
    return torch.softmax(scores, dim=-1) @ v
