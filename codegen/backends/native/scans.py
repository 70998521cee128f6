"""C's spelling of running sums and products: one pass, whose totals are in double precision.

Along the last axis, the terms that fit into a register are added up by themselves, so that totals wait for one another only
once a register. Terms that are no elements of a tensor are computed a block at a time before. Products, and sums in which a
position itself takes no part, go on term by term. Along any other axis, a block of columns has its totals beside each other.
"""

from __future__ import annotations

from dataclasses import replace

from codegen.backends.native.comments import equations
from codegen.backends.native.declare import declare
from codegen.backends.native.elements import element, in_memory, place
from codegen.backends.native.folds import FOLDS
from codegen.backends.native.scope import Indices
from codegen.backends.native.statements import expression, write_step
from codegen.backends.native.writer import Writer
from codegen.loops.assignment import Assignment, Elementwise, RunningSum
from codegen.loops.nest import Scan, Store, VectorLoop
from derive import syntax as st


def scan(w: Writer, p: Scan) -> None:
    """Write a running sum or product; threads share the loops around it."""
    f, along = p.assignment, p.kind.along
    last = f.index[-1]
    outer = [i for i in f.index[:-1] if i != along]
    collapse = f" collapse({len(outer)})" if len(outer) > 1 else ""
    shared = f"#pragma omp parallel for num_threads(threads) schedule(static){collapse}"
    w.emit("", *([shared] if outer else []))
    with w.loops(outer):
        if last != along:
            w.emit(*([] if outer else [shared]))
            _columns(w, f, p.kind)
        elif p.kind.fold.adds and not p.kind.strict:
            _row(w, f, along, p.kind.falling)
        else:
            _steps(w, f, p.kind)


def _row(w: Writer, f: Assignment, along: str, falling: bool) -> None:
    loop = _loop(f, along)
    declare(w, loop)
    w.helper("running_sum")
    out, order = _place_of_row(w, f.name, f.index), "FALLING" if falling else "RISING"
    if isinstance(f.body, st.Read) and f.body.index[-1] == along and _lies_in_memory(w, f.body):
        terms = _place_of_row(w, f.body.name, f.body.index)
        w.emit(equations(w.context, [f]), f"running_sum({out}, {terms}, {w.size(along)}, 0, {order});")
        return
    total, size = w.names.part(f.name, "total"), w.size(along)
    w.helper("largest" if falling else "smallest")
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
    w.emit("}", f"{total} = running_sum({out} + first, {out} + first, last - first, {total}, {order});", "}")


def _lies_in_memory(w: Writer, read: st.Read) -> bool:
    """Whether a read is of a tensor's elements, and not of a variable or of what is computed where it is used."""
    return read.name in w.context.arguments or in_memory(w.context, read.name)


def _place_of_row(w: Writer, name: str, index: Indices) -> str:
    """The pointer to the row of a tensor that an element at ``index`` lies in."""
    return w.scope.rows.get((name, index[:-1])) or place(w, name, index[:-1])


def _steps(w: Writer, f: Assignment, kind: RunningSum) -> None:
    declare(w, _loop(f, kind.along))
    total = w.names.part(f.name, "total")
    w.emit(f"double {total} = {FOLDS[kind.fold].start};", equations(w.context, [f]), _head(w, kind))
    with w.inside(kind.along):
        _step(w, f, kind, total)
    w.emit("}")


def _step(w: Writer, f: Assignment, kind: RunningSum, total: str) -> None:
    """Write the lines by which a total goes on; the term is read first, since the sums may lie in the memory of the terms."""
    at, term, sign = element(w, f.name, f.index), expression(w, f.body), FOLDS[kind.fold].clause
    if kind.strict:
        name = w.names.part(f.name, "term")
        w.emit(f"const real {name} = {term};", f"{at} = (real){total};", f"{total} {sign}= {name};")
    else:
        w.emit(f"{total} {sign}= {term};", f"{at} = (real){total};")


def _head(w: Writer, kind: RunningSum) -> str:
    """The head of the loop along the axis, from its end on where the totals do."""
    i = w.names.index(kind.along)
    falling = f"for (int64_t {i} = {w.size(kind.along)} - 1; {i} >= 0; --{i}) {{"
    return falling if kind.falling else f"{w.head(kind.along)} {{"


def _columns(w: Writer, f: Assignment, kind: RunningSum) -> None:
    w.helper("chunk")
    last = f.index[-1]
    totals = w.names.part(f.name, "totals")
    w.emit(f"for (int64_t first = 0; first < {w.size(last)}; first += CHUNK) {{")
    w.emit(f"const int64_t last = smallest(first + CHUNK, {w.size(last)});")
    if kind.fold.adds:
        w.emit(f"double {totals}[CHUNK] = {{0}};")
    else:
        w.emit(f"double {totals}[CHUNK];", f"for (int64_t k = 0; k < CHUNK; ++k) {totals}[k] = {FOLDS[kind.fold].start};")
    w.emit(_head(w, kind))
    with w.inside(kind.along):
        declare(w, _loop(f, last))
        w.emit("#pragma omp simd", equations(w.context, [f]), f"{w.head(last, span=('first', '< last'))} {{")
        with w.inside(last):
            w.scope = replace(w.scope, vector=last)
            _step(w, f, kind, f"{totals}[{w.names.index(last)} - first]")
            w.emit("}")
    w.emit("}", "}")


def _loop(f: Assignment, axis: str) -> VectorLoop:
    """The loop in which the terms are computed."""
    return VectorLoop(axis, (), (), (Store(replace(f, kind=Elementwise()), False),))
