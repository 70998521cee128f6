"""Negative log-likelihood of labels, averaged over the batch."""

TEXT = """
loss = nll(logp[n, c], t[n])

t[n] in c
loss = -mean[n](logp[n, t[n]])
"""
SIZES = {"n": 1024, "c": 1024}
GROUP = "losses"
SOURCE = "Bishop, Pattern Recognition and Machine Learning (2006), section 4.3.4"


def reference(torch, logp, t):
    """What torch itself computes; the tests differentiate it with autograd."""
    return torch.nn.functional.nll_loss(logp, t)
