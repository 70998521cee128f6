"""Scaled dot-product attention with a learned score for attending to nothing."""

TEXT = """
o[n, h, i, d] = attention_sink(q[n, h, i, f], k[n, h, j, f], v[n, h, j, d], sink[h])

S[n, h, i, j] = sum[f](q[n, h, i, f]*k[n, h, j, f])/sqrt(size(f))
P[n, h, i, j] = exp(S[n, h, i, j])/(exp(sink[h]) + sum[j](exp(S[n, h, i, j])))
o[n, h, i, d] = sum[j](P[n, h, i, j]*v[n, h, j, d])
"""
SIZES = {"n": 4, "h": 8, "i": 4096, "j": 4096, "f": 64, "d": 64}
GROUP = "attention"
SOURCE = "Xiao et al., Efficient Streaming Language Models with Attention Sinks, arXiv:2309.17453"


def reference(torch, q, k, v, sink):
    """What torch itself computes; the tests differentiate it with autograd."""
    scores = q @ k.mT / q.shape[-1] ** 0.5
    nothing = sink[:, None, None].expand(*scores.shape[:-1], 1)
    return torch.softmax(torch.cat([scores, nothing], dim=-1), dim=-1)[..., :-1] @ v
