"""Rows of a table, looked up by integer labels."""

TEXT = """
y[*s, d] = embedding(table[v, d], t[*s])

t[*s] in v
y[*s, d] = table[t[*s], d]
"""
SIZES = {"s": 1024, "v": 1024, "d": 64}
GROUP = "lookups"
SOURCE = "Bengio et al., A Neural Probabilistic Language Model (2003)"


def reference(torch, table, t):
    """What torch itself computes; the tests differentiate it with autograd."""
    return torch.nn.functional.embedding(t, table)
