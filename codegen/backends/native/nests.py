"""C's spelling of the parts of a kernel, each partitioned among threads, as lines that the formatter indents."""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from codegen.backends.native.context import Context
from codegen.backends.native.convolutions import convolution
from codegen.backends.native.declare import declare, point_to_chunk
from codegen.backends.native.elements import accesses, base, stored
from codegen.backends.native.folds import FOLDS
from codegen.backends.native.loops import begin_partial, end_partial, inner_loop, nodes, vector_loop
from codegen.backends.native.opaque import product, scatter
from codegen.backends.native.own import Own
from codegen.backends.native.private import blocked, gather, point_to_pieces, point_to_total
from codegen.backends.native.scans import scan
from codegen.backends.native.scope import Chunk
from codegen.backends.native.statements import write_step
from codegen.backends.native.streams import stream, streamed
from codegen.backends.native.writer import Writer
from codegen.loops.assignment import Assignment
from codegen.loops.nest import (
    Convolution,
    FlatNest,
    Nests,
    Once,
    Part,
    PartialSum,
    Product,
    RowNest,
    Scan,
    Scatter,
    SmallLoop,
    VectorLoop,
)
from codegen.loops.storage import Array

SHARED = "#pragma omp parallel for num_threads(threads) schedule(static)"


def write(w: Writer, nests: Nests) -> None:
    """Write all parts, in a loop over the batch if there is one."""
    if not nests.batch:
        for part in nests.parts:
            _part(w, part)
        return
    w.helper("thread_number")
    w.emit("", "#pragma omp parallel for num_threads(batch_threads) schedule(static)", f"{w.head(nests.batch)} {{")
    if uses_batch_thread(w.context, nests):
        w.emit("const int batch_thread = thread_number();")
    for name, axes in arrays(w.context):
        parts = w.names.part(name, "parts")
        w.emit(f"real *const {w.names.tensor(name)} = {parts} + batch_thread * padded({w.count(axes)});")
    with w.inside(nests.batch):
        for part in nests.parts:
            _part(w, part)
    w.emit("}")


def arrays(c: Context) -> list[tuple[str, tuple[str, ...]]]:
    """The arrays of the call that have memory of their own, with their axes."""
    return [(name, place.axes) for name, place in c.plan.storage.items() if isinstance(place, Array) and not place.over]


def uses_batch_thread(c: Context, nests: Nests) -> bool:
    """Whether each thread of a partitioned batch needs memory of its own."""
    rows = [p for p in nests.parts if isinstance(p, RowNest)]
    return bool(arrays(c)) or any(p.totals or p.rows or streamed(c.plan, p) for p in rows)


def _part(w: Writer, part: Part) -> None:
    match part:
        case Once(step):
            declare(w, step)
            write_step(w, step)
        case SmallLoop(loop):
            w.emit("")
            declare(w, loop)
            inner_loop(w, loop)
        case FlatNest():
            _flat_nest(w, part)
        case RowNest():
            _row_nest(w, part)
        case Product():
            product(w, part)
        case Scatter():
            scatter(w, part)
        case Scan():
            scan(w, part)
        case Convolution():
            convolution(w, part)
        case _:
            assert_never(part)


# ---- rows ----------------------------------------------------------------------------------------------------------


def _row_nest(w: Writer, nest: RowNest) -> None:
    """Write a nest of rows; if its reductions go through blocks, the rows are grouped into blocks too."""
    collapse = f" collapse({len(nest.axes)})" if len(nest.axes) > 1 else ""
    w.emit("", SHARED + collapse)
    with w.inside():
        w.scope = replace(w.scope, streamed=streamed(w.context.plan, nest))
        if blocked(nest):
            _begin_blocks(w, nest)
        else:
            w.emit(*(f"{w.head(axis)} {{" for axis in nest.axes))
            point_to_pieces(w, nest, bool(w.context.plan.batch))
        with w.inside(*nest.axes):
            nodes(w, nest.body)
        if blocked(nest):
            _end_blocks(w, nest)
        else:
            w.emit(*("}" for _ in nest.axes))
    for total in nest.totals:
        gather(w, total)


def _begin_blocks(w: Writer, nest: RowNest) -> None:
    """Begin the loop over blocks of rows, and the loop over the rows of a block."""
    (row,) = nest.axes
    axis, size = w.names.index(row), w.size(row)
    w.helper("block_rows", "fill")
    w.emit(f"for (int64_t first = 0; first < {size}; first += block_rows({size}, threads)) {{")
    w.emit(f"const int64_t last = smallest(first + block_rows({size}, threads), {size});")
    point_to_pieces(w, nest, bool(w.context.plan.batch))
    for t in blocked(nest):
        f = t.assignment
        w.emit(f"fill({Own.BLOCK.of_thread(w, f.name)}, {w.count(f.index)}, {FOLDS[t.fold].start});")
    w.emit(f"for (int64_t {axis} = first; {axis} < last; ++{axis}) {{")


def _end_blocks(w: Writer, nest: RowNest) -> None:
    w.emit("}")
    for t in blocked(nest):
        f, how = t.assignment, FOLDS[t.fold].helpers
        w.helper(f"{how}_block")
        total, block = w.names.part(f.name, "total"), Own.BLOCK.of_thread(w, f.name)
        w.emit(f"{how}_block({total}, {block}, {w.count(f.index)});")
    w.emit("}")


# ---- a single loop ---------------------------------------------------------------------------------------------------


def _flat_nest(w: Writer, nest: FlatNest) -> None:
    """Write a nest of one loop, partitioned into chunks that fit into the cache."""
    size = w.size(nest.loop.axis)
    past = streamed(w.context.plan, nest)
    w.helper("chunk")
    w.emit("", SHARED, f"for (int64_t first = 0; first < {size}; first += CHUNK) {{")
    w.emit(f"const int64_t count = smallest(CHUNK, {size} - first);")
    with w.inside():
        w.scope = replace(w.scope, streamed=past)
        if nest.totals:
            w.helper("thread_number", "padded")
            w.emit("const int thread = thread_number();")
        outside = []
        for t in nest.totals:
            p = PartialSum(t.assignment, t.fold)
            outside.append((p, point_to_total(w, t)))
            begin_partial(w, p)
        _chunk(w, nest.loop, past)
        for f in past:
            stream(w, f, f"{base(w, stored(w.context, f.name))} + first", "count")
        for p, into in outside:
            end_partial(w, p, into)
    w.emit("}")
    for t in nest.totals:
        gather(w, t)


def _chunk(w: Writer, loop: VectorLoop, past: tuple[Assignment, ...]) -> None:
    """Write the loop over a chunk, with pointers to the chunk of each tensor that the loop reads or writes."""
    w.emit(*(f"real {Own.BUFFER.of_thread(w, f.name)}[CHUNK];" for f in past))
    with w.inside():
        chunk = Chunk(loop.axis)
        along = (a for step in loop.body for a in accesses(w.context, step.assignment) if a[1] == (loop.axis,))
        for name, _ in dict.fromkeys(along):
            chunk = Chunk(loop.axis, {**chunk.pointers, name: point_to_chunk(w, name)})
        w.scope = replace(w.scope, chunk=chunk)
        vector_loop(w, loop, "count")
