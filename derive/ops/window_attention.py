"""Scaled dot-product attention that sees a window of earlier positions."""

TEXT = """
o[*s, i, d] = window_attention(q[*s, i, f], k[*s, j, f], v[*s, j, d], window=4)

S[*s, i, j] = sum[f](q[*s, i, f]*k[*s, j, f])/sqrt(size(f))
A[*s, i, j] = where(j <= i, where(i - j < window, exp(S[*s, i, j]), 0), 0)
P[*s, i, j] = A[*s, i, j]/sum[j](A[*s, i, j])
o[*s, i, d] = sum[j](P[*s, i, j]*v[*s, j, d])
"""
SIZES = {"s": 8, "i": 4096, "j": 4096, "f": 64, "d": 64}
GROUP = "attention"
SOURCE = "Beltagy et al., Longformer, arXiv:2004.05150"
NOTES = ("A query whose window has no key attends to nothing, and gives 0.",)


def reference(torch, q, k, v, window):
    """What torch itself computes; the tests differentiate it with autograd."""
    apart = torch.arange(q.shape[-2])[:, None] - torch.arange(k.shape[-2])
    seen = (apart >= 0) & (apart < window)
    scores = (q @ k.mT / q.shape[-1] ** 0.5).masked_fill(~seen, -1e300)
    return torch.softmax(scores, dim=-1) * seen @ v
