"""Cross-entropy and the penalty on the square of the log-sum-exp, each by itself."""

TEXT = """
loss, penalty = z_loss_terms(z[n, c], t[n], weight=1e-4)

t[n] in c
p[n, c] = exp(z[n, c])/sum[c](exp(z[n, c]))
lse[n]  = log(sum[c](exp(z[n, c])))
loss    = -mean[n](log(p[n, t[n]]))
penalty = weight*mean[n](lse[n]**2)
"""
SIZES = {"n": 1024, "c": 1024}
GROUP = "losses"
SOURCE = "Chowdhery et al., PaLM, arXiv:2204.02311"


def reference(torch, z, t, weight):
    """What torch itself computes; the tests differentiate it with autograd."""
    lse = torch.logsumexp(z, dim=1)
    return torch.nn.functional.cross_entropy(z, t), weight * (lse**2).mean()
