"""Which of the declared lengths a program works out."""

from __future__ import annotations

from collections.abc import Iterable

from codegen.axes import lengths_used
from codegen.program import Argument, Statement
from derive import syntax as st
from derive.declared import needed
from derive.language.axes import equal_axes

__all__ = ["declared_in", "lengths_needed"]


def declared_in(op: st.Op, arguments: Iterable[Argument], statements: Iterable[Statement]) -> tuple[tuple[str, st.Tree], ...]:
    """The declared lengths that follow from those of a program's arguments, each after those that it needs."""
    if not op.declared:
        return ()
    own = {a for argument in arguments for a in argument.axes}
    used = own | {a for s in statements for a in lengths_used(s.index, s.tree)}
    root = equal_axes(op)
    found = list(op.declared.computed(own | {a for a, _ in op.packing.lengths}, root))
    wanted = {root.get(a, a) for a in used}
    kept: list[tuple[str, st.Tree]] = []
    for axis, tree in reversed(found):
        if root.get(axis, axis) in wanted:
            wanted |= {root.get(a, a) for a in needed(tree)}
            kept.insert(0, (axis, tree))
    return tuple(kept)


def lengths_needed(lengths: Iterable[tuple[str, st.Tree]]) -> set[str]:
    """The axes whose lengths these declared lengths read."""
    return {a for _, tree in lengths for a in needed(tree)}
