"""The buffers of each thread in a nest whose rows are partitioned among threads, and how the threads' totals are combined.

A reduction over rows accumulates in a block of the thread, in working precision and over at most 32 rows. The block is then
added to the thread's total, in double precision. The totals are added in the order of the threads, so that a result is the same
on every run.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from codegen.backends.native.elements import base, stored
from codegen.backends.native.folds import FOLDS
from codegen.backends.native.own import Own
from codegen.backends.native.scope import InPlace
from codegen.backends.native.writer import Writer
from codegen.loops.assignment import Assignment, Fold
from codegen.loops.nest import RowNest, Total
from codegen.loops.storage import Result


@dataclass(frozen=True)
class Piece:
    """A buffer that each thread has for a value, and its length in C."""

    assignment: Assignment
    own: Own
    count: str


def blocked(nest: RowNest) -> tuple[Total, ...]:
    """The totals that have axes: they go through a block."""
    return tuple(t for t in nest.totals if t.assignment.index)


def pieces(w: Writer, nest: RowNest, streamed: tuple[Assignment, ...]) -> Iterator[Piece]:
    """The buffers of a thread: rows of values, buffers of streamed results, and blocks of reductions over rows."""
    for f, axes in nest.rows:
        yield Piece(f, Own.ROW, w.count(axes))
    for f in streamed:
        yield Piece(f, Own.BUFFER, f"streaming ? {w.size(f.index[-1])} : 0")
    for t in blocked(nest):
        yield Piece(t.assignment, Own.BLOCK, w.count(t.assignment.index))


def point_to_pieces(w: Writer, nest: RowNest, batch: bool) -> None:
    """Declare pointers to the thread's own buffers and totals."""
    found = list(pieces(w, nest, w.scope.streamed))
    if not (found or nest.totals):
        return
    w.emit(f"const int thread = {'batch_thread + ' if batch else ''}thread_number();")
    w.helper("thread_number", "padded")
    blocks = {p.assignment.name: p for p in found if p.own is Own.BLOCK}
    for p in found:
        if p.own is not Own.BLOCK:
            _point_to_piece(w, p)
    for t in nest.totals:
        f = t.assignment
        point_to_total(w, t)
        if f.name in blocks:
            block = _point_to_piece(w, blocks[f.name])
            w.scope = w.scope.with_sum(f.name, InPlace(f"{block}[{w.flat_index(f.index)}]"))


def _point_to_piece(w: Writer, p: Piece) -> str:
    name, of_all = p.own.of_thread(w, p.assignment.name), p.own.of_all(w, p.assignment.name)
    w.emit(f"real *const {name} = {of_all} + thread * padded({p.count});")
    return name


def point_to_total(w: Writer, t: Total) -> InPlace:
    """Declare the pointer to the thread's total of a reduction over rows; returns the element that accumulates."""
    f = t.assignment
    total, totals = w.names.part(f.name, "total"), w.names.part(f.name, "totals")
    w.emit(f"double *const {total} = {totals} + thread * padded({w.count(f.index)});")
    into = InPlace(f"*{total}")
    w.scope = w.scope.with_sum(f.name, into)
    return into


# ---- totals ----------------------------------------------------------------------------------------------------------


def gather(w: Writer, t: Total) -> None:
    """Combine the totals of all threads."""
    f, how = t.assignment, FOLDS[t.fold].helpers
    w.helper(f"{how}_threads")
    if f.index or isinstance(w.context.plan.storage[f.name], Result):
        place = base(w, stored(w.context, f.name))
    else:
        value = w.names.tensor(f.name)
        w.emit(f"real {value};")
        w.hold(f.name, (), value)
        place = f"&{value}"
    terms = f"(double){w.factor(f.reduced)}" if t.fold is Fold.MEAN else "1"
    divisor = f", {terms}" if t.fold.adds else ""
    totals = w.names.part(f.name, "totals")
    w.emit(f"{how}_threads({place}, {totals}, threads, {w.count(f.index)}{divisor});")
