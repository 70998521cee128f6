"""Logistic loss of scores against labels -1 and 1."""

TEXT = """
loss = soft_margin(x[*s], t[*s])

u[*s] = -t[*s]*x[*s]
g[*s] = 1/(1 + exp(-u[*s]))
loss  = mean[s](u[*s] - log(g[*s]))
"""
SIZES = {"s": 65536}
GROUP = "losses"
SOURCE = "Hastie, Tibshirani and Friedman, The Elements of Statistical Learning (2009), section 10.6"


def reference(torch, x, t):
    """What torch itself computes; the tests differentiate it with autograd."""
    return torch.nn.functional.softplus(-t * x, threshold=1e3).mean()
