"""Hard sigmoid, piecewise linear."""

TEXT = """
y[*s] = hardsigmoid(x[*s])

y[*s] = where(x[*s] <= -3, 0, where(x[*s] >= 3, 1, (x[*s] + 3)/6))
"""
GROUP = "activations"
SOURCE = "Courbariaux, Bengio and David, BinaryConnect, arXiv:1511.00363"


def reference(torch, x):
    """What torch itself computes; the tests differentiate it with autograd."""
    return torch.clamp(x + 3, 0, 6) / 6  # the gradient of torch.nn.functional.hardsigmoid rounds 1/6 to float32
