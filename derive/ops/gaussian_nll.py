"""Negative log-likelihood of a normal distribution."""

TEXT = """
loss = gaussian_nll(x[*s], t[*s], var[*s])

var > 0
e[*s] = x[*s] - t[*s]
loss  = mean[s](log(var[*s]) + e[*s]**2/var[*s])/2
"""
SIZES = {"s": 65536}
GROUP = "losses"
SOURCE = "Nix and Weigend, Estimating the Mean and Variance of the Target Probability Distribution (1994)"


def reference(torch, x, t, var):
    """What torch itself computes; the tests differentiate it with autograd."""
    return torch.nn.functional.gaussian_nll_loss(x, t, var)
