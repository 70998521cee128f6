"""Dynamic tanh, which takes the place of a normalization layer."""

TEXT = """
y[*s, d] = dynamic_tanh(x[*s, d], gamma[d], beta[d], alpha)

u[*s, d] = alpha*x[*s, d]
t[*s, d] = tanh(u[*s, d])
y[*s, d] = gamma[d]*t[*s, d] + beta[d]
"""
SIZES = {"s": 1024, "d": 1024}
GROUP = "activations"
SOURCE = "Zhu et al., Transformers without Normalization, arXiv:2503.10622"


def reference(torch, x, gamma, beta, alpha):
    """What torch itself computes; the tests differentiate it with autograd."""
    return gamma * torch.tanh(alpha * x) + beta
