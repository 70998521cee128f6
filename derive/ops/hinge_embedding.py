"""Hinge embedding loss of distances: labels are 1 for alike and -1 for unlike."""

TEXT = """
loss = hinge_embedding(x[*s], t[*s], margin=1.0)

loss = mean[s](where(t[*s] > 0, x[*s], maximum(margin - x[*s], 0)))
"""
SIZES = {"s": 1048576}
GROUP = "losses"
SOURCE = "Hadsell et al., Dimensionality Reduction by Learning an Invariant Mapping (2006)"


def reference(torch, x, t, margin):
    """What torch itself computes; the tests differentiate it with autograd."""
    return torch.where(t > 0, x, torch.relu(margin - x)).mean()
