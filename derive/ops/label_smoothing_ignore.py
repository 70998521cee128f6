"""Cross-entropy of a softmax against smoothed labels, averaged over those that are not ignored."""

TEXT = """
loss = label_smoothing_ignore(z[n, c], t[n], smoothing=0.1, ignore=-100)

t[n] in c
logp[n, c] = log(exp(z[n, c])/sum[c](exp(z[n, c])))
count      = sum[n](where(t[n] != ignore, 1, 0))
loss       = -sum[n](where(t[n] != ignore, logp[n, t[n]] + smoothing*(mean[c](logp[n, c]) - logp[n, t[n]]), 0))/count
"""
SIZES = {"n": 1024, "c": 1024}
GROUP = "losses"
SOURCE = "Szegedy et al., Rethinking the Inception Architecture, arXiv:1512.00567"


def reference(torch, z, t, smoothing, ignore):
    """What torch itself computes; the tests differentiate it with autograd."""
    return torch.nn.functional.cross_entropy(z, t, ignore_index=ignore, label_smoothing=smoothing)
