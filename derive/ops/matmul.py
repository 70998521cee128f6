"""Product of two matrices."""

TEXT = """
y[n, m] = matmul(a[n, k], b[k, m])

y[n, m] = sum[k](a[n, k] * b[k, m])
"""
SOURCE = "Giles, Collected matrix derivative results for forward and reverse mode AD (2008)"
