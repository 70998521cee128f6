"""Negative log-likelihood of labels, averaged over those that are not ignored."""

TEXT = """
loss = nll_ignore(logp[n, c], t[n], ignore=-100)

t[n] in c
count = sum[n](where(t[n] != ignore, 1, 0))
loss  = sum[n](where(t[n] != ignore, -logp[n, t[n]], 0))/count
"""
SIZES = {"n": 1024, "c": 1024}
GROUP = "losses"
SOURCE = "Bishop, Pattern Recognition and Machine Learning (2006), section 4.3.4"


def reference(torch, logp, t, ignore):
    """What torch itself computes; the tests differentiate it with autograd."""
    return torch.nn.functional.nll_loss(logp, t, ignore_index=ignore)
