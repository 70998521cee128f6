"""Charbonnier loss, a smooth mean absolute error."""

TEXT = """
loss = charbonnier(x[*s], t[*s], eps=1e-3)

eps > 0
e[*s] = x[*s] - t[*s]
r[*s] = sqrt(e[*s]**2 + eps**2)
loss  = mean[s](r[*s])
"""
SIZES = {"s": 65536}
GROUP = "losses"
SOURCE = "Charbonnier et al., Two Deterministic Half-Quadratic Regularization Algorithms (1994)"


def reference(torch, x, t, eps):
    """What torch itself computes; the tests differentiate it with autograd."""
    return torch.sqrt((x - t) ** 2 + eps**2).mean()
