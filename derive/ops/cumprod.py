"""Cumulative product along the last axis."""

TEXT = """
y[*s, i] = cumprod(x[*s, i])

y[*s, i] = prod[j](where(j <= i, x[*s, j], 1))
"""
SIZES = {"s": 256, "i": 64}
GROUP = "sums and scans"
SOURCE = "Blelloch, Prefix Sums and Their Applications, CMU-CS-90-190 (1990)"
NOTES = ("The gradient divides by nothing, so that it is right where factors are 0; it takes all pairs of positions.",)


def reference(torch, x):
    """What torch itself computes; the tests differentiate it with autograd."""
    return x.cumprod(-1)
