"""Batch normalization over the batch and any further axes, in training mode.

``ddof=0`` divides by the number of rows (the biased variance of the paper and of torch), ``ddof=1`` by one less (Bessel).
"""

TEXT = """
y[n, d, *s] = batchnorm(x[n, d, *s], gamma[d], beta[d], eps=1e-5, ddof=0)

eps > 0
mu[d]         = mean[n, s](x[n, d, *s])
c[n, d, *s]   = x[n, d, *s] - mu[d]
var[d]        = sum[n, s](c[n, d, *s]**2) / (size(n)*size(s) - ddof)
rstd[d]       = (var[d] + eps)**(-1/2)
xhat[n, d, *s] = c[n, d, *s] * rstd[d]
y[n, d, *s]   = gamma[d] * xhat[n, d, *s] + beta[d]
"""
SIZES = {"n": 1024, "d": 256, "s": 16}
GROUP = "normalization"
SOURCE = "Ioffe and Szegedy, Batch Normalization, arXiv:1502.03167"


def reference(torch, x, gamma, beta, eps, ddof):
    """What torch itself computes; the tests differentiate it with autograd."""
    if ddof == 0:
        return torch.nn.functional.batch_norm(x, None, None, gamma, beta, training=True, eps=eps)
    axes = [k for k in range(x.ndim) if k != 1]
    shape = [1 if k in axes else -1 for k in range(x.ndim)]
    var, mean = torch.var_mean(x, dim=axes, correction=ddof, keepdim=True)
    return gamma.reshape(shape) * (x - mean) / torch.sqrt(var + eps) + beta.reshape(shape)
