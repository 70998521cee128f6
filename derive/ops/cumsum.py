"""Cumulative sum along the last axis."""

TEXT = """
y[*s, i] = cumsum(x[*s, i])

y[*s, i] = sum[j](where(j <= i, x[*s, j], 0))
"""
SIZES = {"s": 256, "i": 1024}
GROUP = "sums and scans"
SOURCE = "Blelloch, Prefix Sums and Their Applications, CMU-CS-90-190 (1990)"


def reference(torch, x):
    """What torch itself computes; the tests differentiate it with autograd."""
    return x.cumsum(-1)
