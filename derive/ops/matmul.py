"""Product of two matrices."""

TEXT = """
y[n, m] = matmul(a[n, k], b[k, m])

y[n, m] = sum[k](a[n, k] * b[k, m])
"""
SOURCE = "Giles, Collected matrix derivative results for forward and reverse mode AD (2008)"


def reference(torch, a, b):
    """What torch itself computes; the tests differentiate it with autograd."""
    return torch.matmul(a, b)
