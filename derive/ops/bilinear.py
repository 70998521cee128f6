"""Bilinear map of two vectors."""

TEXT = """
y[*s, k] = bilinear(a[*s, i], b[*s, j], W[k, i, j], c[k])

y[*s, k] = sum[i, j](a[*s, i]*W[k, i, j]*b[*s, j]) + c[k]
"""
SIZES = {"s": 256, "i": 64, "j": 64, "k": 64}
GROUP = "linear maps"
SOURCE = "Tenenbaum and Freeman, Separating Style and Content with Bilinear Models (2000)"


def reference(torch, a, b, W, c):
    """What torch itself computes; the tests differentiate it with autograd."""
    return torch.nn.functional.bilinear(a, b, W, c)
