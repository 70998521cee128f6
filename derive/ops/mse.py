"""Mean squared error."""

TEXT = """
loss = mse(x[*s], t[*s])

e[*s] = x[*s] - t[*s]
loss  = mean[s](e[*s]**2)
"""
SIZES = {"s": 65536}
GROUP = "losses"
SOURCE = "Bishop, Pattern Recognition and Machine Learning (2006), section 1.1"


def reference(torch, x, t):
    """What torch itself computes; the tests differentiate it with autograd."""
    return torch.nn.functional.mse_loss(x, t)
