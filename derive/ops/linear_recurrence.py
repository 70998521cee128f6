"""Linear recurrence with a gate at each step, as in linear recurrent units and state space models."""

TEXT = """
h[n, t, k] = linear_recurrence(a[n, t, k], x[n, t, k], h0[n, k])

h[n, -1, k] = h0[n, k]
h[n, t, k]  = a[n, t, k]*h[n, t - 1, k] + x[n, t, k]
"""
SIZES = {"n": 32, "t": 256, "k": 128}
GROUP = "recurrences"
SOURCE = "Martin and Cundy, Parallelizing Linear Recurrent Neural Nets Over Sequence Length, arXiv:1709.04057"


def reference(torch, a, x, h0):
    """The steps one after the other; the tests differentiate them with autograd."""
    found, h = [], h0
    for gate, step in zip(a.unbind(1), x.unbind(1), strict=True):
        h = gate * h + step
        found.append(h)
    return torch.stack(found, 1)
