"""Cross-entropy of a softmax against integer labels, averaged over those that are not ignored."""

TEXT = """
loss = cross_entropy_ignore(z[n, c], t[n], ignore=-100)

t[n] in c
p[n, c] = exp(z[n, c])/sum[c](exp(z[n, c]))
count   = sum[n](where(t[n] != ignore, 1, 0))
loss    = sum[n](where(t[n] != ignore, -log(p[n, t[n]]), 0))/count
"""
SIZES = {"n": 1024, "c": 1024}
GROUP = "losses"
SOURCE = "Bishop, Pattern Recognition and Machine Learning (2006), section 4.3.4"


def reference(torch, z, t, ignore):
    """What torch itself computes; the tests differentiate it with autograd."""
    return torch.nn.functional.cross_entropy(z, t, ignore_index=ignore)
