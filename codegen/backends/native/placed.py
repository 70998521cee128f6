"""Which results a function can write into rows that lie apart: those that it computes row by row, or as a matrix product."""

from __future__ import annotations

from codegen.backends.native.machine import scheduled
from codegen.loops.assignment import Assignment, Elementwise, EntryUpdate, MatrixProduct, Reduction
from codegen.loops.schedule import Schedule
from codegen.loops.storage import Array
from codegen.program import Program

__all__ = ["placeable"]


def placeable(program: Program) -> frozenset[str]:
    """The results of a program whose rows may lie apart; none where a star may stand for any number of axes."""
    plan = scheduled(program)
    if program.star:
        return frozenset()
    found = {f.name for f in plan.assignments if f.name in program.results and len(f.index) > 1}
    return frozenset(found.difference(*(_dense(plan, f) for f in plan.assignments)))


def _dense(plan: Schedule, f: Assignment) -> set[str]:
    """The tensors whose rows a statement takes to follow one another."""
    owner = _owner(plan, f.name)
    match f.kind:
        case Elementwise() | EntryUpdate():
            return set()
        case Reduction():
            return {owner}
        case MatrixProduct(left, right, _, axes):
            wide = {a for g in (axes.rows, axes.columns, axes.inner) if len(g) > 1 for a in g}
            tensors = {owner: f.index, _owner(plan, left.name): left.index, _owner(plan, right.name): right.index}
            return {name for name, index in tensors.items() if wide & set(map(str, index))}
    return {owner, *(_owner(plan, name) for name in f.needs)}


def _owner(plan: Schedule, name: str) -> str:
    """The tensor in whose memory a value lies."""
    while isinstance(place := plan.storage.get(name), Array) and place.over:
        name = place.over
    return name
