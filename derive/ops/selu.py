"""Scaled exponential linear unit."""

TEXT = """
y[*s] = selu(x[*s], alpha=1.6732632423543772, scale=1.0507009873554805)

y[*s] = scale*where(x[*s] <= 0, alpha*expm1(x[*s]), x[*s])
"""
GROUP = "activations"
SOURCE = "Klambauer et al., Self-Normalizing Neural Networks, arXiv:1706.02515"


def reference(torch, x, alpha, scale):
    """What torch itself computes; the tests differentiate it with autograd."""
    return scale * torch.nn.functional.elu(x, alpha)
