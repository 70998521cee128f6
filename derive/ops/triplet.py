"""Triplet margin loss of Euclidean distances."""

TEXT = """
loss = triplet(a[n, d], pos[n, d], neg[n, d], margin=1.0, eps=1e-6)

eps > 0
u[n, d] = a[n, d] - pos[n, d] + eps
v[n, d] = a[n, d] - neg[n, d] + eps
near[n] = sqrt(sum[d](u[n, d]**2))
far[n]  = sqrt(sum[d](v[n, d]**2))
m[n]    = near[n] - far[n] + margin
loss    = mean[n](where(m[n] <= 0, 0, m[n]))
"""
SIZES = {"n": 1024, "d": 128}
GROUP = "losses"
SOURCE = "Balntas et al., Learning Local Feature Descriptors with Triplets (2016)"


def reference(torch, a, pos, neg, margin, eps):
    """What torch itself computes; the tests differentiate it with autograd."""
    return torch.nn.functional.triplet_margin_loss(a, pos, neg, margin, eps=eps)
