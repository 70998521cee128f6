"""Rotary embedding of positions, of pairs that lie next to one another."""

TEXT = """
y[*s, i, (m, p = 2)] = rotary_interleaved(x[*s, i, (m, p = 2)], cosine[i, m], sine[i, m])

y[*s, i, (m, p)] = x[*s, i, m, p]*cosine[i, m] + where(p == 0, -1, 1)*x[*s, i, m, 1 - p]*sine[i, m]
"""
SIZES = {"s": 32, "i": 4096, "m": 64}
GROUP = "attention"
SOURCE = "Su et al., RoFormer, arXiv:2104.09864"


def reference(torch, x, cosine, sine):
    """What torch itself computes; the tests differentiate it with autograd."""
    first, second = x[..., ::2], x[..., 1::2]
    return torch.stack([first * cosine - second * sine, second * cosine + first * sine], dim=-1).flatten(-2)
