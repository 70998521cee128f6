"""Rotary embedding of positions, of pairs whose two halves lie side by side."""

TEXT = """
y[*s, i, (p = 2, m)] = rotary(x[*s, i, (p = 2, m)], cosine[i, m], sine[i, m])

y[*s, i, (p, m)] = x[*s, i, p, m]*cosine[i, m] + where(p == 0, -1, 1)*x[*s, i, 1 - p, m]*sine[i, m]
"""
SIZES = {"s": 32, "i": 4096, "m": 64}
GROUP = "attention"
SOURCE = "Su et al., RoFormer, arXiv:2104.09864"


def reference(torch, x, cosine, sine):
    """What torch itself computes; the tests differentiate it with autograd."""
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cosine - second * sine, second * cosine + first * sine], dim=-1)
