"""Recurrences as readers see them: ``h[n, t - 1, j]`` for what is carried, ``dh_prev[n, t + 1, k]`` for its adjoint."""

from __future__ import annotations

from collections.abc import Iterator

from derive import syntax as st
from derive.language.unicode import text
from derive.recurrence import adjoint_carries

__all__ = ["before_first", "first_slots", "handed_on", "in_steps"]


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


def handed_on(op: st.Op) -> Iterator[str]:
    """What the names of :func:`derive.recurrence.opened` stand for, in a sentence for each."""
    for c in op.carries:
        back, ahead = (text(in_steps(op, st.Read(name, c.axes))) for name in (c.name, st.adjoint_name(c.next)))
        start = text(st.Read(c.first, c.rest)) if c.first else "0"
        yield f"{text(st.Read(c.name, c.axes))} is {back}, at the first step {start}."
        yield f"{text(st.Read(st.adjoint_name(c.next), c.axes))} is what the next step sends back, {ahead}, at the last step 0."
        if c.first:
            first = st.adjoint_name(c.first)
            yield f"{text(st.Read(first, c.rest))} is {text(in_steps(op, st.Read(first, c.rest)))}."
