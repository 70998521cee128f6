"""Layer normalization over the last axis."""

TEXT = """
y[*s, d] = layernorm(x[*s, d], gamma[d], beta[d], eps=1e-5)

eps > 0
mu[*s]      = mean[d](x[*s, d])
c[*s, d]    = x[*s, d] - mu[*s]
var[*s]     = mean[d](c[*s, d]**2)
rstd[*s]    = (var[*s] + eps)**(-1/2)
xhat[*s, d] = c[*s, d] * rstd[*s]
y[*s, d]    = gamma[d] * xhat[*s, d] + beta[d]
"""
SIZES = {"s": 1024, "d": 1024}
VARIANTS = ("accurate",)
GROUP = "normalization"
SOURCE = "Ba, Kiros and Hinton, Layer Normalization, arXiv:1607.06450"


def reference(torch, x, gamma, beta, eps):
    """What torch itself computes; the tests differentiate it with autograd."""
    return torch.nn.functional.layer_norm(x, x.shape[-1:], gamma, beta, eps)
