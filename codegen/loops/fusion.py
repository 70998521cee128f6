"""Which statements share a loop.

Fusion is by level. A statement goes into the first loop over its next axis that comes after the loops which complete the values
it needs. Inside one loop a value can be used as well, if it is not reduced over the loop's axis and is read at the loop's own
index. A statement that has only the outer axes of a nest is computed once per row, outside the inner loops.
"""

from __future__ import annotations

from codegen.loops.assignment import Assignment, fold_of
from codegen.loops.loop import Item, Loop
from codegen.recognise.rows import Row
from codegen.recognise.window import Slide
from derive import syntax as st

_Head = tuple[str, Slide | None, tuple[Row, ...]]


def fuse(assignments: tuple[Assignment, ...], prefix: tuple[str, ...]) -> tuple[Item, ...]:
    """The statements inside the loops ``prefix`` as an ordered body: loops over further axes, and statements that run once."""
    level = _levels(assignments, len(prefix))
    if not prefix:
        level = _postponed(assignments, level)
    groups: dict[tuple[int, _Head], list[Assignment]] = {}
    for f, at in zip(assignments, level, strict=True):
        groups.setdefault((at, _next(f, len(prefix))), []).append(f)
    body: list[Item] = []
    for (_, (axis, slide, rows)), members in sorted(groups.items(), key=lambda item: item[0][0]):
        if axis:
            body.append(Loop(axis, fuse(tuple(members), (*prefix, axis)), slide, rows))
        else:
            body.extend(members)
    return tuple(body)


def _next(f: Assignment, depth: int) -> _Head:
    """The axis of a statement's next loop, "" where it has none, and what bounds the loop."""
    axis = "" if f.opaque or len(f.loops) == depth else f.loops[depth]
    return axis, f.slide(axis), f.bounds(axis)


def _levels(assignments: tuple[Assignment, ...], depth: int) -> list[int]:
    """The earliest level for each statement that its needs allow. Loops have odd levels, statements between loops even ones.

    A statement whose value is written over an argument comes after all others, since these may read the argument.
    """
    level: list[int] = []
    last = 0
    for k, f in enumerate(assignments):
        (axis, *_), at = _next(f, depth), last + 1 if f.over and not depth else 0
        for j in range(k):
            if assignments[j].name in (*f.needs, f.name):
                at = max(at, _after(assignments[j], level[j], f, depth))
        level.append(at + (at % 2 == 0) if axis else at + at % 2)
        last = last if f.over else max(last, level[-1])
    return level


def _postponed(assignments: tuple[Assignment, ...], level: list[int]) -> list[int]:
    """The levels, with each reduction moved to that nest which reads most of the reduction's operands anyway.

    A sum of ``dy``, for example, could be computed in the first nest, which would then read ``dy`` for this sum only.
    """
    level = list(level)
    for k, f in enumerate(assignments):
        head = _next(f, 0)
        if not head[0] or fold_of(f) is None:
            continue
        users = [j for j in range(k + 1, len(assignments)) if f.name in assignments[j].needs]
        last = min((level[j] - 1 for j in users), default=level[k])
        places = [
            l
            for l in range(level[k], last + 1, 2)
            if any(_next(g, 0) == head and level[j] == l for j, g in enumerate(assignments))
        ]

        def alone(at: int, k: int = k, f: Assignment = f) -> int:
            """The number of names that the nest at a level would read only for this statement."""
            others = [g.needs for j, g in enumerate(assignments) if j != k and level[j] == at and _next(g, 0)[0]]
            return len(f.needs.difference(*others))

        level[k] = min(places, key=alone, default=level[k])
    return level


def _after(given: Assignment, level: int, f: Assignment, depth: int) -> int:
    """The first level at which ``f`` may use a value that is computed at ``level``."""
    if level % 2 == 0:
        return level
    head = axis, *_ = _next(f, depth)
    shared = head == _next(given, depth) and axis in given.index and axis not in given.scoped
    return level if shared and all(same_slot(given, r, axis) for r in f.reads.get(given.name, ())) else level + 1


def same_slot(given: Assignment, read: st.Read, axis: str) -> bool:
    """Whether a read has, on that axis, the loop's own index."""
    return read.index[given.index.index(axis)] == axis
