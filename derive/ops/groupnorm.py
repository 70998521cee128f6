"""Group normalization: each group of channels of each example, over its channels and its further axes."""

TEXT = """
y[n, (g, c), *s] = groupnorm(x[n, (g = groups, c), *s], gamma[(g, c)], beta[(g, c)], groups=2, eps=1e-5)

eps > 0
mu[n, g]          = mean[c, s](x[n, g, c, *s])
d[n, g, c, *s]    = x[n, g, c, *s] - mu[n, g]
var[n, g]         = mean[c, s](d[n, g, c, *s]**2)
rstd[n, g]        = (var[n, g] + eps)**(-1/2)
xhat[n, g, c, *s] = d[n, g, c, *s]*rstd[n, g]
y[n, (g, c), *s]  = gamma[g, c]*xhat[n, g, c, *s] + beta[g, c]
"""
SIZES = {"n": 64, "g": 32, "c": 8, "s": 1024}
GROUP = "normalization"
SOURCE = "Wu and He, Group Normalization, arXiv:1803.08494"
NOTES = ("The channels of a tensor lie group by group: gamma, beta and x have groups times c of them.",)


def reference(torch, x, gamma, beta, groups, eps):
    """What torch itself computes; the tests differentiate it with autograd."""
    rows = x if x.ndim > 2 else x.unsqueeze(2)
    return torch.nn.functional.group_norm(rows, groups, gamma, beta, eps).reshape(x.shape)
