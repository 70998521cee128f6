"""Vectors of length 1 over the last axis."""

TEXT = """
y[*s, d] = l2_normalize(x[*s, d], eps=1e-12)

eps > 0
rnorm[*s] = (sum[d](x[*s, d]**2) + eps)**(-1/2)
y[*s, d]  = x[*s, d]*rnorm[*s]
"""
SIZES = {"s": 1024, "d": 1024}
GROUP = "normalization"
SOURCE = "Schroff, Kalenichenko and Philbin, FaceNet, arXiv:1503.03832"


def reference(torch, x, eps):
    """What torch itself computes; the tests differentiate it with autograd."""
    return x / torch.sqrt((x * x).sum(-1, keepdim=True) + eps)
