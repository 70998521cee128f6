"""Cross-entropy of a softmax against target probabilities, averaged over the batch."""

TEXT = """
loss = soft_cross_entropy(z[n, c], q[n, c])

logp[n, c] = log(exp(z[n, c])/sum[c](exp(z[n, c])))
loss       = -mean[n](sum[c](q[n, c]*logp[n, c]))
"""
SIZES = {"n": 1024, "c": 1024}
GROUP = "losses"
SOURCE = "Hinton, Vinyals and Dean, Distilling the Knowledge in a Neural Network, arXiv:1503.02531"


def reference(torch, z, q):
    """What torch itself computes; the tests differentiate it with autograd."""
    return torch.nn.functional.cross_entropy(z, q)
