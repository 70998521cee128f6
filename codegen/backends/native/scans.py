"""C's spelling of running sums: one pass, whose totals are in double precision.

Along the last axis, a row is computed a block at a time, first its terms and then their sums: four terms are added up by
themselves, so that additions wait for one another only once in four. Along any other axis, a block of columns has its totals
beside each other.
"""

from __future__ import annotations

from dataclasses import replace

from codegen.backends.native.comments import equations
from codegen.backends.native.declare import declare
from codegen.backends.native.elements import element, place
from codegen.backends.native.statements import expression, write_step
from codegen.backends.native.writer import Writer
from codegen.loops.assignment import Assignment, Elementwise
from codegen.loops.nest import Scan, Store, VectorLoop


def scan(w: Writer, p: Scan) -> None:
    """Write a running sum; threads share the loops around it."""
    f, along, falling = p.assignment, p.kind.along, p.kind.falling
    last = f.index[-1]
    outer = [i for i in f.index[:-1] if i != along]
    collapse = f" collapse({len(outer)})" if len(outer) > 1 else ""
    shared = f"#pragma omp parallel for num_threads(threads) schedule(static){collapse}"
    w.emit("", *([shared] if outer else []), *(f"{w.head(i)} {{" for i in outer))
    with w.inside(*outer):
        if last == along:
            _row(w, f, along, falling)
        else:
            w.emit(*([] if outer else [shared]))
            _columns(w, f, along, falling)
    w.emit(*("}" for _ in outer))


def _row(w: Writer, f: Assignment, along: str, falling: bool) -> None:
    loop = _loop(f, along)
    declare(w, loop)
    total, size = w.names.part(f.name, "total"), w.size(along)
    w.helper("running_sum", "largest" if falling else "smallest")
    w.emit(f"double {total} = 0;")
    if falling:
        w.emit(f"for (int64_t last = {size}, first; last > 0; last = first) {{", "first = largest(last - BLOCK, 0);")
    else:
        w.emit(f"for (int64_t first = 0; first < {size}; first += BLOCK) {{")
        w.emit(f"const int64_t last = smallest(first + BLOCK, {size});")
    w.emit("#pragma omp simd", equations(w.context, [f]), f"{w.head(along, span=('first', '< last'))} {{")
    with w.inside(along):
        w.scope = replace(w.scope, vector=along)
        write_step(w, loop.body[0])
    w.emit("}")
    row = w.scope.rows.get((f.name, f.index[:-1])) or place(w, f.name, f.index[:-1])
    begin, step = ("last - 1", -1) if falling else ("first", 1)
    w.emit(f"{total} = running_sum({row} + {begin}, {step}, last - first, {total});", "}")


def _columns(w: Writer, f: Assignment, along: str, falling: bool) -> None:
    w.helper("chunk")
    last = f.index[-1]
    totals, size, i = w.names.part(f.name, "totals"), w.size(along), w.names.index(along)
    w.emit(f"for (int64_t first = 0; first < {w.size(last)}; first += CHUNK) {{")
    w.emit(f"const int64_t last = smallest(first + CHUNK, {w.size(last)});")
    w.emit(f"double {totals}[CHUNK] = {{0}};")
    w.emit(f"for (int64_t {i} = {size} - 1; {i} >= 0; --{i}) {{" if falling else f"{w.head(along)} {{")
    with w.inside(along):
        declare(w, _loop(f, last))
        w.emit("#pragma omp simd", equations(w.context, [f]), f"{w.head(last, span=('first', '< last'))} {{")
        with w.inside(last):
            w.scope = replace(w.scope, vector=last)
            total = f"{totals}[{w.names.index(last)} - first]"
            w.emit(f"{total} += {expression(w, f.body)};", f"{element(w, f.name, f.index)} = (real){total};", "}")
    w.emit("}", "}")


def _loop(f: Assignment, axis: str) -> VectorLoop:
    """The loop in which the terms are computed."""
    return VectorLoop(axis, (), (), (Store(replace(f, kind=Elementwise()), False),))
