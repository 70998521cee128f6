"""Kullback-Leibler divergence from log-probabilities to target probabilities, averaged over the batch."""

TEXT = """
loss = kl(logq[n, c], p[n, c])

p > 0
loss = mean[n](sum[c](p[n, c]*(log(p[n, c]) - logq[n, c])))
"""
SIZES = {"n": 1024, "c": 1024}
GROUP = "losses"
SOURCE = "Kullback and Leibler, On Information and Sufficiency (1951)"


def reference(torch, logq, p):
    """What torch itself computes; the tests differentiate it with autograd."""
    return torch.nn.functional.kl_div(logq, p, reduction="batchmean")
