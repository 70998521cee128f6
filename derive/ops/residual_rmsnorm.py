"""Root-mean-square normalization of a residual sum, over the last axis."""

TEXT = """
y[*s, d] = residual_rmsnorm(x[*s, d], r[*s, d], gamma[d], eps=1e-6)

eps > 0
h[*s, d]    = x[*s, d] + r[*s, d]
rstd[*s]    = (mean[d](h[*s, d]**2) + eps)**(-1/2)
hhat[*s, d] = h[*s, d]*rstd[*s]
y[*s, d]    = gamma[d]*hhat[*s, d]
"""
SIZES = {"s": 1024, "d": 1024}
GROUP = "normalization"
SOURCE = "Zhang and Sennrich, Root Mean Square Layer Normalization, arXiv:1910.07467"


def reference(torch, x, r, gamma, eps):
    """What torch itself computes; the tests differentiate it with autograd."""
    return torch.nn.functional.rms_norm(x + r, x.shape[-1:], gamma, eps)
