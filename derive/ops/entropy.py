"""Entropy of a softmax, averaged over the batch."""

TEXT = """
h = entropy(z[n, c])

p[n, c] = exp(z[n, c])/sum[c](exp(z[n, c]))
h       = -mean[n](sum[c](p[n, c]*log(p[n, c])))
"""
SIZES = {"n": 1024, "c": 1024}
GROUP = "losses"
SOURCE = "Shannon, A Mathematical Theory of Communication (1948)"


def reference(torch, z):
    """What torch itself computes; the tests differentiate it with autograd."""
    return torch.distributions.Categorical(logits=z).entropy().mean()
