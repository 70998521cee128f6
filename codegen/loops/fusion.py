"""Which statements share a loop.

Fusion is by level. Within a loop nest a statement goes into the first loop over its next axis that comes after everything
it needs complete; a value is complete inside a loop as long as it is not reduced over that loop's axis and is read at that
loop's own index. What is only a prefix of a nest's axes is computed once per row, outside the inner loops.
"""

from __future__ import annotations

from codegen.loops.assignment import Assignment, fold_of
from codegen.loops.loop import Item, Loop
from derive import syntax as st


def fuse(assignments: tuple[Assignment, ...], prefix: tuple[str, ...], key: tuple[int, ...] = ()) -> tuple[Item, ...]:
    """The statements inside the loops ``prefix`` as an ordered body: loops over further axes, and what runs once."""
    level = _levels(assignments, len(prefix))
    if not prefix:
        level = _postponed(assignments, level)
    groups: dict[tuple[int, str], list[Assignment]] = {}
    for f, at in zip(assignments, level, strict=True):
        groups.setdefault((at, _next_axis(f, len(prefix))), []).append(f)
    body: list[Item] = []
    for (_, axis), members in sorted(groups.items(), key=lambda item: item[0][0]):
        if axis:
            own = (*key, len(body))
            body.append(Loop(axis, fuse(tuple(members), (*prefix, axis), own), own))
        else:
            body.extend(members)
    return tuple(body)


def _next_axis(f: Assignment, depth: int) -> str:
    return "" if f.opaque or len(f.loops) == depth else f.loops[depth]


def _levels(assignments: tuple[Assignment, ...], depth: int) -> list[int]:
    """Loops get odd levels, what runs once between them even ones; each statement the earliest that its needs allow.

    What is to be written over an argument comes after all else that is not, since that may read the argument.
    """
    level: list[int] = []
    last = 0
    for k, f in enumerate(assignments):
        axis, at = _next_axis(f, depth), last + 1 if f.over and not depth else 0
        for j in range(k):
            if assignments[j].name in f.needs:
                at = max(at, _after(assignments[j], level[j], f, axis, depth))
        level.append(at + (at % 2 == 0) if axis else at + at % 2)
        last = last if f.over else max(last, level[-1])
    return level


def _postponed(assignments: tuple[Assignment, ...], level: list[int]) -> list[int]:
    """The levels with each reduction in the nest, of those that it may stand in, that reads most of what it reads anyway.

    A sum of ``dy`` alone could be taken in the very first pass, which would then read ``dy`` for its sake only.
    """
    level = list(level)
    for k, f in enumerate(assignments):
        axis = _next_axis(f, 0)
        if not axis or fold_of(f) is None:
            continue
        users = [j for j in range(k + 1, len(assignments)) if f.name in assignments[j].needs]
        last = min((level[j] - 1 for j in users), default=level[k])
        places = [
            l
            for l in range(level[k], last + 1, 2)
            if any(_next_axis(g, 0) == axis and level[j] == l for j, g in enumerate(assignments))
        ]

        def alone(at: int, k: int = k, f: Assignment = f) -> int:
            """How many names the nest at a level would read for this statement only."""
            others = [g.needs for j, g in enumerate(assignments) if j != k and level[j] == at and _next_axis(g, 0)]
            return len(f.needs.difference(*others))

        level[k] = min(places, key=alone, default=level[k])
    return level


def _after(given: Assignment, level: int, f: Assignment, axis: str, depth: int) -> int:
    """The first level at which ``f`` may use a value that is computed at ``level``."""
    if level % 2 == 0:
        return level
    shared = axis == _next_axis(given, depth) and axis in given.index
    return level if shared and all(same_slot(given, r, axis) for r in f.reads.get(given.name, ())) else level + 1


def same_slot(given: Assignment, read: st.Read, axis: str) -> bool:
    """Whether a read takes the value at the loop's own index of that axis."""
    return read.index[given.index.index(axis)] == axis
