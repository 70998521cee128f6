"""The lengths of the axes of an op, from those that may be chosen."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from derive import syntax as st
from derive.declared import needed
from derive.labels import whole_constants, whole_number
from derive.language.axes import equal_axes
from derive.points import populated

#: How often axes are made longer, each time twice as long.
DOUBLINGS = 12

__all__ = ["chosen_axes", "roomy", "settled", "whole_numbers"]


def chosen_axes(op: st.Op) -> tuple[str, ...]:
    """The axes whose lengths may be chosen: those of the inputs, and those that labels index."""
    return tuple(dict.fromkeys(a for t in op.inputs for a in (*t.axes, *([t.indexed] if t.indexed else []))))


def whole_numbers(op: st.Op) -> dict[str, int]:
    """The constants that are whole numbers: lengths, and what stands among positions. Each has its default, or is 2."""
    return {c.name: whole_number(c, None) for c in op.constants if c.name in whole_constants(op) | op.length_constants}


def settled(op: st.Op, chosen: Mapping[str, int], constants: Mapping[str, float]) -> dict[str, int]:
    """The lengths ``chosen``, and with them those that the signature gives and those that equations declare.

    Axes that equations make equal get one length. ``constants`` has the constants on which lengths depend. A declared length
    may come out less than 1.
    """
    same, given = equal_axes(op), op.packing.fixed(constants)
    size = {**chosen, **given} | {same[a]: n for a, n in given.items()}
    size = {a: size.get(same.get(a, a), n) for a, n in size.items()}
    found = op.declared.completed(size, {c: int(constants[c]) for c in op.declared.constants()}, same)
    return {a: n for a, n in found.items() if a in size or a in dict(op.declared.lengths)}


def roomy(op: st.Op, chosen: Mapping[str, int], constants: Mapping[str, int], kept: Collection[str] = ()) -> dict[str, int]:
    """The lengths of :func:`settled`, of which some ``chosen`` ones are longer where a window would not fit into its axis.

    Axes that are ``kept`` stay as they are (ValueError where that does not do).
    """
    found = dict(chosen)
    for _ in range(DOUBLINGS):
        sizes = settled(op, found, constants)
        if populated(op, sizes, constants):
            return sizes
        short = {a: tree for a, tree in op.declared.lengths if sizes[a] < 1} or dict(op.declared.lengths)
        longer = {b: 2 * found[b] for tree in short.values() for b in needed(tree) if b in found and b not in kept}
        grown = {b: settled(op, {**found, b: n}, constants) for b, n in longer.items()}
        found |= {b: n for b, n in longer.items() if any(grown[b][a] > sizes[a] for a in short)}
    raise ValueError(f"{op.name}: no lengths are found for which the declared lengths are positive")
