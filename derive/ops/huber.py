"""Huber loss: quadratic near 0, linear far away."""

TEXT = """
loss = huber(x[*s], t[*s], delta=1.0)

delta > 0
e[*s] = x[*s] - t[*s]
l[*s] = where(abs(e[*s]) <= delta, e[*s]**2/2, delta*(abs(e[*s]) - delta/2))
loss  = mean[s](l[*s])
"""
SIZES = {"s": 65536}
GROUP = "losses"
SOURCE = "Huber, Robust Estimation of a Location Parameter (1964)"


def reference(torch, x, t, delta):
    """What torch itself computes; the tests differentiate it with autograd."""
    return torch.nn.functional.huber_loss(x, t, delta=delta)
