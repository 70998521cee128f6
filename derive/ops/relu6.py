"""Rectified linear unit, capped at 6."""

TEXT = """
y[*s] = relu6(x[*s])

y[*s] = where(x[*s] <= 0, 0, where(x[*s] >= 6, 6, x[*s]))
"""
GROUP = "activations"
SOURCE = "Krizhevsky, Convolutional Deep Belief Networks on CIFAR-10 (2010)"


def reference(torch, x):
    """What torch itself computes; the tests differentiate it with autograd."""
    return torch.nn.functional.relu6(x)
