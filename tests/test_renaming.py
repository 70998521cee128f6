"""An op in other names: every place where a name stands is renamed, and what the op means stays."""

from __future__ import annotations

from derive import parse
from derive.renaming import renamed
from derive.show.show import assumptions, signature
from derive.textbook.short import with_short_names

PACKED = """
loss = f(x[n, (g = groups, c)], t[n], w[c], groups=2, eps=0.1)
t[n] in c
eps > 0
u[n, (g, c)] = x[n, g, c]*w[c]
loss = mean[n](sum[g](u[n, g, t[n]])) + size(c)*eps
"""


def test_every_place_of_a_name_is_renamed() -> None:
    op = parse(PACKED)
    to = {"x": "X", "c": "k", "t": "label", "eps": "tiny", "u": "z", "groups": "heads", "dx": "dX"}
    there = renamed(op, to)
    assert signature(there) == "loss = f(X[n, (g = heads, k)], label[n], w[k], heads=2, tiny=0.1)"
    assert assumptions(there) == ["label[n] in k", "tiny > 0"]
    assert there.packing.slots("z", ("n", "g", "k")) == (("n",), ("g", "k"))
    assert renamed(there, {new: old for old, new in to.items()}) == op
    assert renamed(op, {}) is op


def test_short_names_leave_packed_axes_packed() -> None:
    op = parse(
        "loss = g(x[n, b, e], W[(b, e), c], t[n])\nt[n] in c\nz[n, c] = sum[b, e](x[n, b, e]*W[b, e, c])\n"
        "loss = softmax_cross_entropy(z[n, c], t[n])"
    )
    short = with_short_names(op)
    assert [e.name for e in short.equations] == ["z", "p", "loss"] and short.packing == op.packing
