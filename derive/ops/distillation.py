"""Kullback-Leibler divergence of a student's softmax from a teacher's, at a temperature."""

TEXT = """
loss = distillation(z[n, c], u[n, c], tau=2.0)

tau > 0
p[n, c]    = exp(u[n, c]/tau)/sum[c](exp(u[n, c]/tau))
logq[n, c] = log(exp(z[n, c]/tau)/sum[c](exp(z[n, c]/tau)))
loss       = tau**2*mean[n](sum[c](p[n, c]*(log(p[n, c]) - logq[n, c])))
"""
SIZES = {"n": 1024, "c": 1024}
GROUP = "losses"
SOURCE = "Hinton, Vinyals and Dean, Distilling the Knowledge in a Neural Network, arXiv:1503.02531"


def reference(torch, z, u, tau):
    """What torch itself computes; the tests differentiate it with autograd."""
    logp, logq = torch.log_softmax(u / tau, dim=1), torch.log_softmax(z / tau, dim=1)
    return tau**2 * torch.nn.functional.kl_div(logq, logp, reduction="batchmean", log_target=True)
