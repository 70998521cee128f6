"""Cosine embedding loss of pairs: labels are 1 for alike and -1 for unlike."""

TEXT = """
loss = cosine_embedding(a[n, d], b[n, d], t[n], margin=0.0, eps=1e-12)

eps > 0
u[n] = (sum[d](a[n, d]**2) + eps)**(-1/2)
v[n] = (sum[d](b[n, d]**2) + eps)**(-1/2)
y[n] = sum[d](a[n, d]*b[n, d])*u[n]*v[n]
loss = mean[n](where(t[n] > 0, 1 - y[n], maximum(y[n] - margin, 0)))
"""
SIZES = {"n": 1024, "d": 256}
GROUP = "losses"
SOURCE = "Wang et al., NormFace, arXiv:1704.06369"


def reference(torch, a, b, t, margin, eps):
    """What torch itself computes; the tests differentiate it with autograd."""
    y = (a * b).sum(1) / ((a.square().sum(1) + eps) * (b.square().sum(1) + eps)).sqrt()
    return torch.where(t > 0, 1 - y, torch.relu(y - margin)).mean()
