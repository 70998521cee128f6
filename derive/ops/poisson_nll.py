"""Negative log-likelihood of a Poisson distribution with the rate exp(x), up to a constant."""

TEXT = """
loss = poisson_nll(x[*s], t[*s])

loss = mean[s](exp(x[*s]) - t[*s]*x[*s])
"""
SIZES = {"s": 65536}
GROUP = "losses"
SOURCE = "McCullagh and Nelder, Generalized Linear Models (1989), chapter 6"


def reference(torch, x, t):
    """What torch itself computes; the tests differentiate it with autograd."""
    return torch.nn.functional.poisson_nll_loss(x, t)
