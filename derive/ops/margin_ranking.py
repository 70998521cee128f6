"""Margin ranking loss of two scores, of which the first should be larger where t is 1, smaller where it is -1."""

TEXT = """
loss = margin_ranking(a[*s], b[*s], t[*s], margin=0.0)

m[*s] = margin - t[*s]*(a[*s] - b[*s])
loss  = mean[s](where(m[*s] <= 0, 0, m[*s]))
"""
SIZES = {"s": 65536}
GROUP = "losses"
SOURCE = "Herbrich, Graepel and Obermayer, Large Margin Rank Boundaries for Ordinal Regression (2000)"


def reference(torch, a, b, t, margin):
    """What torch itself computes; the tests differentiate it with autograd."""
    return torch.relu(margin - t * (a - b)).mean()
