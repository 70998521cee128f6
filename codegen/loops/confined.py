"""Statements confined to where they count: a value that is only read under ``j <= i`` is only computed there.

Then no loop tests the condition. A result with a value of its own elsewhere is computed by two statements, each in loops with
bounds: ``p[i, j] = e[i, j]/total[i]`` where ``j <= i``, and ``p[i, j] = 0`` where ``j > i``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice

from codegen.loops.assignment import Assignment, Elementwise, MatrixProduct, Reduction
from codegen.recognise.rows import Row, assuming, ordered
from derive import syntax as st

__all__ = ["confined"]

#: The most loops in place of one with tests: three rows one inside the other, or two beside each other.
MOST_CASES = 4


def confined(assignments: tuple[Assignment, ...]) -> tuple[Assignment, ...]:
    """The statements with the rows under which something reads their values, and without tests of these."""
    index = {f.name: f.index for f in assignments}
    wanted: dict[str, frozenset[Row]] = {f.name: frozenset() for f in assignments if f.updates}
    out: list[Assignment] = []
    for f in reversed(assignments):
        parts = _parts(f, frozenset() if f.result else wanted.get(f.name, frozenset()))
        out += reversed(parts)
        for part in parts:
            for read, around in _reads(part):
                rows = _at(index.get(read.name, ()), read, {*part.rows, *around})
                wanted[read.name] = wanted.get(read.name, rows) & rows
    return tuple(reversed(out))


def _parts(f: Assignment, wanted: frozenset[Row]) -> list[Assignment]:
    """The statement in loops that are bounded by rows, which are all that is ``wanted`` of it; or as several statements."""
    if f.slides or not isinstance(f.kind, Elementwise | Reduction | MatrixProduct):
        return [f]
    rows = [*f.rows, *(row for row in ordered(wanted) if row not in f.rows and _bounds(f, row))]
    body = assuming(rows, f.body)
    if not f.result or not isinstance(f.kind, Elementwise):
        return [replace(f, rows=tuple(rows), body=body)]
    cases = list(islice(_cases(f, tuple(rows), body), MOST_CASES + 1))
    return cases if len(cases) <= MOST_CASES else [replace(f, rows=tuple(rows), body=body)]


def _bounds(f: Assignment, row: Row) -> bool:
    return f.kind.axes.banded(row) if isinstance(f.kind, MatrixProduct) else bool(row.bound(f.loops))


def _cases(f: Assignment, rows: tuple[Row, ...], body: st.Tree) -> Iterator[Assignment]:
    """A result as one statement where a row holds that bounds the innermost loop, and one where it does not."""
    tested = (row for n in st.walk(body) if isinstance(n, st.Call) and n.head == "where" and (row := Row.of(n.args[0])))
    row = next((row for row in tested if row.bound(f.loops) == f.loops[-1]), None)
    if row is None:
        yield replace(f, rows=rows, body=body)
        return
    for case in (row, row.negated):
        yield from _cases(f, (*rows, case), assuming((case,), body))


def _reads(f: Assignment) -> Iterator[tuple[st.Read | st.Lookup, frozenset[Row]]]:
    """The reads of a statement, each with the rows under which it counts."""

    def inside(tree: st.Tree, around: frozenset[Row]) -> Iterator[tuple[st.Read, frozenset[Row]]]:
        match tree:
            case st.Read():
                yield tree, around
            case st.Call("where", (condition, a, b)):
                row = Row.of(condition)
                yield from inside(condition, around)
                yield from inside(a, around | {row} if row else around)
                yield from inside(b, around | {row.negated} if row else around)
            case _:
                for child in st.children(tree):
                    yield from inside(child, around)

    yield from inside(f.body, frozenset())
    for name in f.needs - {n.name for n in st.walk(f.body) if isinstance(n, st.Read)}:  # a lookup, or what is updated
        yield st.Read(name), frozenset()


def _at(own: tuple[str, ...], read: st.Read | st.Lookup, rows: Iterable[Row]) -> frozenset[Row]:
    """The rows in the indices of the value that is read."""
    plain = all(isinstance(i, str) for i in read.index) and len(set(read.index)) == len(own) == len(read.index)
    if not plain:
        return frozenset()
    to = dict(zip(map(str, read.index), own, strict=True))
    return frozenset(row.renamed(to) for row in rows if row.indices <= to.keys())
