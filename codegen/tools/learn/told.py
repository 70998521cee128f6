"""Formulas with the axes that arrays have: ``embcat[n,(b,e)]`` where ``b`` and ``e`` are one axis of the array."""

from __future__ import annotations

from derive import syntax as st
from derive.language.unicode import text
from derive.packing import Packing
from derive.show.solved import in_op

__all__ = ["equation_told", "inside", "slots", "told"]


def told(tree: st.Tree, packing: Packing) -> str:
    """An expression."""
    return text(_packed(tree, packing))


def equation_told(equation: st.Equation, op: st.Op) -> str:
    """An equation of an op, on one line."""
    return f"{told(st.Read(equation.name, equation.index), op.packing)} = {told(in_op(op, equation.rhs), op.packing)}"


def slots(read: st.Read, packing: Packing) -> tuple[st.Index, ...]:
    """The indices of a read, one for each axis of the array; several for one axis stand in brackets."""
    if not packing.packs(read.name):
        return read.index
    waiting = list(read.index)
    found: list[st.Index] = []
    for slot in packing.slots(read.name, ()):
        own = [waiting.pop(0) for _ in slot]
        inside = [text(st.Read(i.name, i.index)) if isinstance(i, st.Lookup) else i for i in own]
        found.append(own[0] if len(own) == 1 else f"({','.join(inside)})")
    return tuple(found)


def inside(slot: st.Index) -> tuple[str, ...]:
    """The indices that one of :func:`slots` packs; none where it is a single index."""
    return tuple(slot[1:-1].split(",")) if isinstance(slot, str) and slot.startswith("(") else ()


def _packed(tree: st.Tree, packing: Packing) -> st.Tree:
    if isinstance(tree, st.Read):
        return st.Read(tree.name, slots(tree, packing))
    return st.rebuild(tree, lambda child: _packed(child, packing))
