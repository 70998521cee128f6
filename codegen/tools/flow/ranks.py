"""An op for arrays of one rank: ``*s`` as the axes that the caller's arrays have in its place."""

from __future__ import annotations

from dataclasses import replace

from codegen.stars import spread
from derive import syntax as st

__all__ = ["axes_of", "of_rank", "stars_of"]


def stars_of(op: st.Op, t: st.Tensor, ndim: int) -> int | None:
    """How many axes ``*s`` stands for in an array of that rank (None where the op has no such array)."""
    count = ndim - sum(axis not in op.stars for axis in t.axes)
    return count if count == 0 or (count > 0 and op.stars & set(t.axes)) else None


def of_rank(op: st.Op, count: int) -> st.Op:
    """The op without ``*s``, in whose place it has ``count`` axes: the rows, and where it has no others the units."""
    if not op.stars:
        return op
    if all(axis in op.stars for t in op.inputs for axis in t.axes):
        names = axes_of(count)
    else:
        before = min(_before_stars(op, t) for t in op.inputs if op.stars & set(t.axes))
        names = tuple("row" if k == 0 else f"axis{k}" for k in range(before, before + count))
    return replace(spread(op, names), sizes=())


def axes_of(count: int) -> tuple[str, ...]:
    """The axes of a layer's result: rows first, units last; of an image the channels come second, as ``torch.nn`` has them."""
    if count > 3:
        return ("row", "channel", *(f"axis{k}" for k in range(2, count)))
    return ((), ("unit",), ("row", "unit"), ("row", "axis1", "unit"))[count]


def _before_stars(op: st.Op, t: st.Tensor) -> int:
    return next(k for k, axis in enumerate(t.axes) if axis in op.stars)
