"""Weight normalization: the direction of each row and its length apart."""

TEXT = """
w[o, k] = weightnorm(v[o, k], g[o])

norm[o] = sqrt(sum[k](v[o, k]**2))
w[o, k] = g[o]*v[o, k]/norm[o]
"""
SIZES = {"o": 512, "k": 512}
GROUP = "normalization"
SOURCE = "Salimans and Kingma, Weight Normalization, arXiv:1602.07868"


def reference(torch, v, g):
    """What torch itself computes; the tests differentiate it with autograd."""
    return g.unsqueeze(1) * v / torch.linalg.vector_norm(v, dim=1, keepdim=True)
