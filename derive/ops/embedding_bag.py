"""The sum of the embeddings of a bag of integer labels."""

TEXT = """
y[n, d] = embedding_bag(table[v, d], t[n, b])

t[n, b] in v
y[n, d] = sum[b](table[t[n, b], d])
"""
SIZES = {"n": 1024, "b": 32, "v": 32768, "d": 128}
GROUP = "lookups"
SOURCE = "Joulin et al., Bag of Tricks for Efficient Text Classification, arXiv:1607.01759"


def reference(torch, table, t):
    """What torch itself computes; the tests differentiate it with autograd."""
    return torch.nn.functional.embedding(t, table).sum(1)
