"""InfoNCE: each query against all keys, of which the one at its own place is positive."""

TEXT = """
loss = infonce(q[i, d], k[i, d], tau=0.07)

tau > 0
sim[i, j] = sum[d](q[i, d]*k[j, d])/tau
P[i, j]   = exp(sim[i, j])/sum[j](exp(sim[i, j]))
loss      = -mean[i](log(P[i, i]))
"""
SIZES = {"i": 1024, "d": 128}
GROUP = "losses"
SOURCE = "van den Oord, Li and Vinyals, Contrastive Predictive Coding, arXiv:1807.03748"


def reference(torch, q, k, tau):
    """What torch itself computes; the tests differentiate it with autograd."""
    return torch.nn.functional.cross_entropy(q @ k.T / tau, torch.arange(len(q), device=q.device))
