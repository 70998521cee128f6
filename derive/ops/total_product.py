"""Product over the last axis."""

TEXT = """
y[*s] = total_product(x[*s, k])

y[*s] = prod[k](x[*s, k])
"""
SIZES = {"s": 1024, "k": 64}
GROUP = "sums and scans"
SOURCE = "Speelpenning, Compiling Fast Partial Derivatives of Functions Given by Algorithms, UIUCDCS-R-80-1002 (1980)"
NOTES = ("The gradient divides by nothing: it is the product of the factors before one times that of those behind it.",)


def reference(torch, x):
    """What torch itself computes; the tests differentiate it with autograd."""
    return x.prod(-1)
