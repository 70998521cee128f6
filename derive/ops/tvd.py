"""Total variation distance of distributions, averaged over the batch."""

TEXT = """
loss = tvd(p[n, c], q[n, c])

loss = mean[n](sum[c](abs(p[n, c] - q[n, c])))/2
"""
SIZES = {"n": 1024, "c": 1024}
GROUP = "losses"
SOURCE = "Levin and Peres, Markov Chains and Mixing Times (2017), section 4.1"


def reference(torch, p, q):
    """What torch itself computes; the tests differentiate it with autograd."""
    return (p - q).abs().sum(1).mean() / 2
