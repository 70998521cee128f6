"""Hinge loss of scores against labels -1 and 1."""

TEXT = """
loss = hinge(x[*s], t[*s])

m[*s] = 1 - t[*s]*x[*s]
loss  = mean[s](where(m[*s] <= 0, 0, m[*s]))
"""
SIZES = {"s": 65536}
GROUP = "losses"
SOURCE = "Cortes and Vapnik, Support-Vector Networks (1995)"


def reference(torch, x, t):
    """What torch itself computes; the tests differentiate it with autograd."""
    return torch.relu(1 - t * x).mean()
