"""Cross-entropy of a softmax against integer labels, averaged over the batch."""

TEXT = """
loss = softmax_cross_entropy(z[n, c], t[n])

t[n] in c
p[n, c] = exp(z[n, c]) / sum[c](exp(z[n, c]))
loss    = -mean[n](log(p[n, t[n]]))
"""
SIZES = {"n": 1024, "c": 1024}
VARIANTS = ("accurate",)
GROUP = "losses"
SOURCE = "Bishop, Pattern Recognition and Machine Learning (2006), section 4.3.4"


def reference(torch, z, t):
    """What torch itself computes; the tests differentiate it with autograd."""
    return torch.nn.functional.cross_entropy(z, t)
