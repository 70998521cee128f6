"""Binary cross-entropy of logits against probabilities."""

TEXT = """
loss = bce_with_logits(z[*s], t[*s])

p[*s] = 1/(1 + exp(-z[*s]))
loss  = mean[s](z[*s]*(1 - t[*s]) - log(p[*s]))
"""
SIZES = {"s": 65536}
GROUP = "losses"
SOURCE = "Bishop, Pattern Recognition and Machine Learning (2006), section 4.3.2"


def reference(torch, z, t):
    """What torch itself computes; the tests differentiate it with autograd."""
    return torch.nn.functional.binary_cross_entropy_with_logits(z, t)
