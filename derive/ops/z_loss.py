"""Cross-entropy with a penalty on the square of the log-sum-exp."""

TEXT = """
loss = z_loss(z[n, c], t[n], weight=1e-4)

t[n] in c
lse[n] = log(sum[c](exp(z[n, c])))
loss   = mean[n](lse[n] - z[n, t[n]] + weight*lse[n]**2)
"""
SIZES = {"n": 1024, "c": 1024}
GROUP = "losses"
SOURCE = "Chowdhery et al., PaLM, arXiv:2204.02311"


def reference(torch, z, t, weight):
    """What torch itself computes; the tests differentiate it with autograd."""
    return torch.nn.functional.cross_entropy(z, t) + weight * (torch.logsumexp(z, dim=1) ** 2).mean()
