"""Cross-entropy of a softmax against labels of which a part is spread over all classes."""

TEXT = """
loss = label_smoothing(z[n, c], t[n], smoothing=0.1)

t[n] in c
logp[n, c] = log(exp(z[n, c])/sum[c](exp(z[n, c])))
loss       = -mean[n]((1 - smoothing)*logp[n, t[n]] + smoothing*mean[c](logp[n, c]))
"""
SIZES = {"n": 1024, "c": 1024}
GROUP = "losses"
SOURCE = "Szegedy et al., Rethinking the Inception Architecture, arXiv:1512.00567"


def reference(torch, z, t, smoothing):
    """What torch itself computes; the tests differentiate it with autograd."""
    return torch.nn.functional.cross_entropy(z, t, label_smoothing=smoothing)
