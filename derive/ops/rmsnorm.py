"""Root-mean-square normalization over the last axis."""

TEXT = """
y[*s, d] = rmsnorm(x[*s, d], gamma[d], eps=1e-6)

eps > 0
rstd[*s]    = (mean[d](x[*s, d]**2) + eps)**(-1/2)
xhat[*s, d] = x[*s, d] * rstd[*s]
y[*s, d]    = gamma[d] * xhat[*s, d]
"""
SIZES = {"s": 1024, "d": 1024}
VARIANTS = ("accurate",)
GROUP = "normalization"
SOURCE = "Zhang and Sennrich, Root Mean Square Layer Normalization, arXiv:1910.07467"


def reference(torch, x, gamma, eps):
    """What torch itself computes; the tests differentiate it with autograd."""
    return torch.nn.functional.rms_norm(x, x.shape[-1:], gamma, eps)
