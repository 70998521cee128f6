"""Smooth mean absolute error: quadratic below ``beta``, linear above."""

TEXT = """
loss = smooth_l1(x[*s], t[*s], beta=1.0)

beta > 0
e[*s] = x[*s] - t[*s]
l[*s] = where(abs(e[*s]) < beta, e[*s]**2/(2*beta), abs(e[*s]) - beta/2)
loss  = mean[s](l[*s])
"""
SIZES = {"s": 65536}
GROUP = "losses"
SOURCE = "Girshick, Fast R-CNN, arXiv:1504.08083"


def reference(torch, x, t, beta):
    """What torch itself computes; the tests differentiate it with autograd."""
    return torch.nn.functional.smooth_l1_loss(x, t, beta=beta)
