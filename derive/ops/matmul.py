"""Product of two matrices, or of two stacks of them."""

TEXT = """
y[*s, n, m] = matmul(a[*s, n, k], b[*s, k, m])

y[*s, n, m] = sum[k](a[*s, n, k] * b[*s, k, m])
"""
SIZES = {"s": 8, "n": 512, "k": 512, "m": 512}
GROUP = "linear maps"
SOURCE = "Giles, Collected matrix derivative results for forward and reverse mode AD (2008)"


def reference(torch, a, b):
    """What torch itself computes; the tests differentiate it with autograd."""
    return torch.matmul(a, b)
