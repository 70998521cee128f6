"""Square plus, a smooth rectified linear unit without exponentials."""

TEXT = """
y[*s] = squareplus(x[*s], b=4.0)

b > 0
r[*s] = sqrt(x[*s]**2 + b)
y[*s] = (x[*s] + r[*s])/2
"""
GROUP = "activations"
SOURCE = "Barron, Squareplus: A Softplus-Like Algebraic Rectifier, arXiv:2112.11687"


def reference(torch, x, b):
    """What torch itself computes; the tests differentiate it with autograd."""
    return (x + torch.sqrt(x * x + b)) / 2
