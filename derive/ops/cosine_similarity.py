"""Cosine similarity over the last axis."""

TEXT = """
y[*s] = cosine_similarity(a[*s, d], b[*s, d])

ra[*s]      = sum[d](a[*s, d]**2)**(-1/2)
rb[*s]      = sum[d](b[*s, d]**2)**(-1/2)
ahat[*s, d] = a[*s, d]*ra[*s]
bhat[*s, d] = b[*s, d]*rb[*s]
y[*s]       = sum[d](ahat[*s, d]*bhat[*s, d])
"""
SIZES = {"s": 1024, "d": 256}
GROUP = "similarities"
SOURCE = "Salton, Wong and Yang, A Vector Space Model for Automatic Indexing (1975)"


def reference(torch, a, b):
    """What torch itself computes; the tests differentiate it with autograd."""
    return torch.nn.functional.cosine_similarity(a, b, dim=-1, eps=0.0)
