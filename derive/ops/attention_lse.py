"""Scaled dot-product attention that returns the log-sum-exp of its scores too, by which partial results are merged."""

TEXT = """
o[*s, i, d], lse[*s, i] = attention_lse(q[*s, i, f], k[*s, j, f], v[*s, j, d])

S[*s, i, j] = sum[f](q[*s, i, f] * k[*s, j, f]) / sqrt(size(f))
P[*s, i, j] = exp(S[*s, i, j]) / sum[j](exp(S[*s, i, j]))
o[*s, i, d] = sum[j](P[*s, i, j] * v[*s, j, d])
lse[*s, i]  = log(sum[j](exp(S[*s, i, j])))
"""
SIZES = {"s": 8, "i": 4096, "j": 4096, "f": 64, "d": 64}
GROUP = "attention"
SOURCE = "Dao, FlashAttention-2, arXiv:2307.08691; Liu, Zaharia and Abbeel, Ring Attention, arXiv:2310.01889"


def reference(torch, q, k, v):
    """What torch itself computes; the tests differentiate it with autograd."""
    scores = q @ k.mT / q.shape[-1] ** 0.5
    return torch.softmax(scores, -1) @ v, torch.logsumexp(scores, -1)
