"""Euclidean distance over the last axis."""

TEXT = """
y[*s] = pairwise_distance(a[*s, d], b[*s, d], eps=1e-6)

y[*s] = sqrt(sum[d]((a[*s, d] - b[*s, d] + eps)**2))
"""
SIZES = {"s": 1024, "d": 256}
GROUP = "similarities"
SOURCE = "Schroff et al., FaceNet, arXiv:1503.03832"


def reference(torch, a, b, eps):
    """What torch itself computes; the tests differentiate it with autograd."""
    return torch.nn.functional.pairwise_distance(a, b, eps=eps)
