"""Cross-entropy of a softmax against labels of weighted classes; the mean is weighted, over those that are not ignored."""

TEXT = """
loss = cross_entropy_weighted(z[n, c], t[n], w[c], ignore=-100)

t[n] in c
p[n, c] = exp(z[n, c])/sum[c](exp(z[n, c]))
total   = sum[n](where(t[n] != ignore, w[t[n]], 0))
loss    = sum[n](where(t[n] != ignore, -w[t[n]]*log(p[n, t[n]]), 0))/total
"""
SIZES = {"n": 1024, "c": 1024}
GROUP = "losses"
SOURCE = "King and Zeng, Logistic Regression in Rare Events Data, Political Analysis 9 (2001)"


def reference(torch, z, t, w, ignore):
    """What torch itself computes; the tests differentiate it with autograd."""
    kept = t != ignore  # torch's cross_entropy has no gradient with respect to the weights
    weights = w[t[kept]]
    return -(weights * torch.log_softmax(z[kept], 1).gather(1, t[kept, None])[:, 0]).sum() / weights.sum()
