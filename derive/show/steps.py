"""Recurrences as readers see them: ``h[n, t - 1, j]`` for what is carried, ``dh_prev[n, t + 1, k]`` for its adjoint."""

from __future__ import annotations

from derive import syntax as st
from derive.recurrence import adjoint_carries

__all__ = ["before_first", "first_slots", "in_steps"]


def in_steps(op: st.Op, tree: st.Tree) -> st.Tree:
    """The expression with a read one step away in the place of each name for it."""
    carries = {c.name: c for c in (*op.carries, *adjoint_carries(op))}
    ends = {st.adjoint_name(c.first): c for c in op.carries if c.first}

    def change(node: st.Tree) -> st.Tree:
        match node:
            case st.Read(name, index) if name in carries:
                return _moved(carries[name], index)
            case st.Read(name, index) if name in ends:
                c, rest = ends[name], iter(map(st.Position, index))
                return st.AffineRead(st.adjoint_name(c.name), tuple(c.begin if a == c.axis else next(rest) for a in c.axes))
        return st.rebuild(node, change)

    return change(tree)


def _moved(carry: st.Carry, index: tuple[st.Index, ...]) -> st.AffineRead:
    at = (
        st.Add((st.Position(i), carry.back)) if a == carry.axis else st.Position(i)
        for a, i in zip(carry.axes, index, strict=True)
    )
    return st.AffineRead(carry.of, tuple(at))


def first_slots(op: st.Op, name: str) -> tuple[str, tuple[str, ...]] | None:
    """A first value as the author wrote it: the name that is carried, and its slots ``n, -1, k``; None for another name."""
    for c in op.carries:
        if c.first == name:
            return c.of, before_first(c)
    return None


def before_first(carry: st.Carry) -> tuple[str, ...]:
    """The slots of what the first step reads: ``n, -1, k``."""
    return tuple((f"size({a})" if carry.down else "-1") if a == carry.axis else a for a in carry.axes)
