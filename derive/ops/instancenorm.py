"""Instance normalization: each channel of each example over its further axes."""

TEXT = """
y[n, d, *s] = instancenorm(x[n, d, *s], gamma[d], beta[d], eps=1e-5)

eps > 0
mu[n, d]       = mean[s](x[n, d, *s])
c[n, d, *s]    = x[n, d, *s] - mu[n, d]
var[n, d]      = mean[s](c[n, d, *s]**2)
rstd[n, d]     = (var[n, d] + eps)**(-1/2)
xhat[n, d, *s] = c[n, d, *s]*rstd[n, d]
y[n, d, *s]    = gamma[d]*xhat[n, d, *s] + beta[d]
"""
SIZES = {"n": 64, "d": 256, "s": 1024}
GROUP = "normalization"
SOURCE = "Ulyanov, Vedaldi and Lempitsky, Instance Normalization, arXiv:1607.08022"


def reference(torch, x, gamma, beta, eps):
    """What torch itself computes; the tests differentiate it with autograd."""
    rows = x.flatten(2) if x.ndim > 2 else x.unsqueeze(2)
    xhat = torch.nn.functional.layer_norm(rows, rows.shape[-1:], eps=eps)
    return (gamma[:, None] * xhat + beta[:, None]).reshape(x.shape)
