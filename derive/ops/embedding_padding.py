"""Rows of a table, looked up by integer labels, of which the one that pads gets no gradient."""

TEXT = """
y[*s, d] = embedding_padding(table[v, d], t[*s], padding=0)

t[*s] in v
y[*s, d] = where(t[*s] != padding, table[t[*s], d], stop(table[t[*s], d]))
"""
SIZES = {"s": 1024, "v": 32768, "d": 128}
GROUP = "lookups"
SOURCE = "Bengio et al., A Neural Probabilistic Language Model (2003)"


def reference(torch, table, t, padding):
    """What torch itself computes; the tests differentiate it with autograd."""
    return torch.nn.functional.embedding(t, table, padding_idx=padding)
