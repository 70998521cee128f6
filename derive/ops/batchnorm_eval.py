"""Batch normalization in evaluation: by given means and variances."""

TEXT = """
y[n, d, *s] = batchnorm_eval(x[n, d, *s], mu[d], var[d], gamma[d], beta[d], eps=1e-5)

eps > 0
var[d] > 0
rstd[d]        = (var[d] + eps)**(-1/2)
xhat[n, d, *s] = (x[n, d, *s] - mu[d])*rstd[d]
y[n, d, *s]    = gamma[d]*xhat[n, d, *s] + beta[d]
"""
SIZES = {"n": 64, "d": 256, "s": 1024}
GROUP = "normalization"
SOURCE = "Ioffe and Szegedy, Batch Normalization, arXiv:1502.03167"


def reference(torch, x, mu, var, gamma, beta, eps):
    """What torch itself computes; the tests differentiate it with autograd."""
    column = (-1, *[1] * (x.ndim - 2))
    mu, var, gamma, beta = (v.reshape(column) for v in (mu, var, gamma, beta))
    return (x - mu) / torch.sqrt(var + eps) * gamma + beta
