"""A program as loop nests: which statements share a loop, and the storage of each value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from codegen.loops.assignment import Assignment, MatrixProduct, RunningSum, ScatterAdd, fold_of
from codegen.loops.confined import confined
from codegen.loops.flatten import flatten, taken
from codegen.loops.fusion import fuse, same_slot
from codegen.loops.hoist import hoist
from codegen.loops.logistic import with_logistics
from codegen.loops.loop import Item, Loop, assignments_in
from codegen.loops.machine import Machine
from codegen.loops.storage import Placing, Recomputed, Storage
from codegen.program import Program
from derive import syntax as st


@dataclass(frozen=True)
class Schedule:
    """A program as loop nests in order, with the storage of every value.

    ``assignments`` are all statements, including those that are in no nest because their values are rematerialised.
    ``batch`` is the axis of a loop around all nests, or "". ``overwritable`` holds pairs of a result and an argument that may
    be donated to it.
    """

    program: Program
    assignments: tuple[Assignment, ...]
    body: tuple[Item, ...]
    storage: Mapping[str, Storage]
    overwritable: tuple[tuple[str, str], ...]
    batch: str = ""


@lru_cache(maxsize=16)
def schedule(program: Program, machine: Machine) -> Schedule:
    """The loop nests of a program."""
    assignments = confined(hoist(flatten(with_logistics(program)), taken(program)))
    batch = _batch(assignments) if machine.cached else ""
    body = (Loop(batch, fuse(assignments, (batch,))),) if batch else fuse(assignments, ())
    placing = Placing(program, body, 1 if batch else 0, machine)
    storage = placing.storage()
    return Schedule(program, assignments, _pruned(body, storage), storage, placing.overwritable(), batch)


def _batch(assignments: tuple[Assignment, ...]) -> str:
    """The axis over which matrix products, and all statements between them, are independent; "" where there is none.

    With one loop over this axis around them, a product finds in the cache what the product before it wrote.
    """
    products = [f for f in assignments if isinstance(f.kind, MatrixProduct)]
    axis = products[0].index[0] if products and products[0].index else ""
    made = {f.name: f for f in assignments}

    def independent(f: Assignment) -> bool:
        if isinstance(f.kind, ScatterAdd | RunningSum) or f.slides or f.index[:1] != (axis,) or axis in f.reduced:
            return False
        if f.loops and any(row.bound(f.loops) == f.loops[1] for row in f.rows):  # the loop that workers share
            return False
        if isinstance(f.kind, MatrixProduct) and not all(r.index[:1] == (axis,) for r in (f.kind.left, f.kind.right)):
            return False
        if fold_of(f) and f.loops[1:2] and f.loops[1] in f.reduced:
            return False
        slots = [(made[n.name], n) for n in st.walk(f.body) if isinstance(n, st.Read) and n.name in made]
        return f.loops[:1] in ((), (axis,)) and all(same_slot(given, read, axis) for given, read in slots)

    return axis if len(products) > 1 and axis and all(map(independent, assignments)) else ""


def _pruned(body: tuple[Item, ...], storage: Mapping[str, Storage]) -> tuple[Item, ...]:
    """The body without loops that are empty because all their values are rematerialised elsewhere."""
    kept: list[Item] = []
    for item in body:
        if isinstance(item, Assignment):
            kept.append(item)
        elif any(not isinstance(storage[f.name], Recomputed) for f, _ in assignments_in(item.body)):
            kept.append(Loop(item.axis, _pruned(item.body, storage), item.slide, item.rows))
    return tuple(kept)
