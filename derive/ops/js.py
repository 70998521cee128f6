"""Jensen-Shannon divergence of distributions, averaged over the batch."""

TEXT = """
loss = js(p[n, c], q[n, c])

p > 0
q > 0
m[n, c] = (p[n, c] + q[n, c])/2
loss    = mean[n](sum[c](p[n, c]*log(p[n, c]/m[n, c]) + q[n, c]*log(q[n, c]/m[n, c])))/2
"""
SIZES = {"n": 1024, "c": 1024}
GROUP = "losses"
SOURCE = "Lin, Divergence Measures Based on the Shannon Entropy (1991)"


def reference(torch, p, q):
    """What torch itself computes; the tests differentiate it with autograd."""
    m = (p + q) / 2
    return (p * torch.log(p / m) + q * torch.log(q / m)).sum(1).mean() / 2
