"""Mean absolute error."""

TEXT = """
loss = l1(x[*s], t[*s])

loss = mean[s](abs(x[*s] - t[*s]))
"""
SIZES = {"s": 65536}
GROUP = "losses"
SOURCE = "Bishop, Pattern Recognition and Machine Learning (2006), section 1.5.5"


def reference(torch, x, t):
    """What torch itself computes; the tests differentiate it with autograd."""
    return torch.nn.functional.l1_loss(x, t)
