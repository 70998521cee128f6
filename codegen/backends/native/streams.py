"""Results larger than the cache are written past it: a row is computed in a buffer and then copied to its place."""

from __future__ import annotations

from collections.abc import Iterator

from codegen.backends.native.own import Own
from codegen.backends.native.writer import Writer
from codegen.loops.assignment import Assignment
from codegen.loops.nest import FlatNest, InnerLoop, Node, RowNest, Step, Store, Update, VectorLoop
from codegen.loops.schedule import Schedule
from codegen.loops.storage import Result

#: The most results of a nest that are written past the cache. A core combines the writes to only a few cache lines at a time,
#: and each result needs a buffer, which for a chunk is on the stack.
MOST_STREAMED = 8

_Around = InnerLoop | VectorLoop | None


def streamed(plan: Schedule, nest: FlatNest | RowNest) -> tuple[Assignment, ...]:
    """The results that a nest writes along their last axis and does not read again; none if they are too many."""
    outside = (plan.batch,) if plan.batch else ()
    if isinstance(nest, FlatNest):
        sites = list(_sites((nest.loop,), outside, None))
    else:
        sites = list(_sites(nest.body, (*outside, *nest.axes), None))
    found: list[Assignment] = []
    for step, path, loop in sites:
        f = step.assignment
        result = isinstance(step, Store) and isinstance(plan.storage[f.name], Result)
        along = isinstance(loop, VectorLoop) and path == f.index
        first = all(g.name != f.name for g in found)
        if result and along and first and not any(_rereads(other, f) for other, _, around in sites if around is not loop):
            found.append(f)
    return tuple(found) if len(found) <= MOST_STREAMED else ()


def _sites(nodes: tuple[Node, ...], path: tuple[str, ...], around: _Around) -> Iterator[tuple[Step, tuple[str, ...], _Around]]:
    """Every statement, with the axes of its surrounding loops and the innermost of these loops."""
    for node in nodes:
        if isinstance(node, InnerLoop | VectorLoop):
            yield from _sites(node.body, (*path, node.axis), node)
        else:
            yield node, path, around


def _rereads(step: Step, f: Assignment) -> bool:
    """Whether another statement reads a value."""
    return step.assignment is not f and f.name in step.assignment.needs and not isinstance(step, Update)


def stream(w: Writer, f: Assignment, to: str, count: str) -> None:
    """Copy the buffer of a streamed result to its place."""
    w.helper("stream")
    w.emit(f"if (streaming) stream({to}, {Own.BUFFER.of_thread(w, f.name)}, {count});")
