"""The body of a C function: strides, number of threads, scratch memory, and then the nests."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from codegen.backends.native.context import context_of
from codegen.backends.native.machine import scheduled
from codegen.backends.native.memory import Memory, borrowed, memory_of
from codegen.backends.native.needs import Needs
from codegen.backends.native.nests import write
from codegen.backends.native.signature import Parameter, Signature
from codegen.backends.native.streams import streamed
from codegen.backends.native.writer import Writer
from codegen.loops.assignment import MatrixProduct
from codegen.loops.loop import assignments_in
from codegen.loops.lower import nests as lowered
from codegen.loops.nest import FlatNest, Nests, RowNest, Scan, Scatter
from codegen.program import Program
from derive import syntax as st
from derive.terms.factoring import DEFAULT_SIZE


@dataclass(frozen=True)
class Body:
    """The lines of a function's body, and the helpers and functions that they use."""

    lines: tuple[str, ...]
    needs: Needs


def body(s: Signature, program: Program, parameters: tuple[Parameter, ...]) -> Body:
    """The body of a function of these parameters that computes a program."""
    plan = scheduled(program)
    nests = lowered(plan)
    strided = frozenset(a.name for a in program.arguments if a.name in s.strided and len(a.axes) > 1) | s.placed
    w = Writer(context_of(plan, s.root, s.program.arguments, strided), s.names.inner())
    write(w, nests)
    memory = memory_of(w, nests)
    head = [*_strides(s, w), *_threads(s, w, nests), *_streaming(s, w, nests), *borrowed(w, nests, memory)]
    unused = [f"(void){p.name};" for p in parameters if p.name not in w.names.used]
    tail = [] if memory.empty else ["give_back(memory);"]
    lines = (*unused, *head, *_unread(nests, memory), *w.lines, "", *tail, "return 0;")
    return Body(lines, w.needs)


def _strides(s: Signature, w: Writer) -> Iterator[str]:
    """The lines that declare the strides of tensors whose rows may lie apart."""
    full = {a.name: a.axes for a in s.program.arguments} | {t.name: t.index for t in s.program.statements}
    for (name, axis), stride in w.needs.strides.items():
        own = w.context.axes(name)
        rest = " * ".join(map(w.size, own[own.index(axis) + 1 :]))
        given = w.names.strides(name)
        yield f"const int64_t {stride} = {given} ? {given}[{full[name].index(axis)}] : {rest};"


def _elements(s: Signature, axes: tuple[str, ...]) -> int:
    """The number of elements over axes at the op's reference sizes, by which large loops are told from small loops."""
    sizes = dict(s.op.sizes)
    return math.prod(sizes.get(st.axis_of(a), DEFAULT_SIZE) for a in axes)


def _shares(nests: Nests) -> bool:
    """Whether any loops are partitioned among threads."""
    return bool(nests.batch) or any(isinstance(p, RowNest | FlatNest | Scatter | Scan) for p in nests.parts)


def _threads(s: Signature, w: Writer, nests: Nests) -> list[str]:
    """The lines that set the number of threads: for the rows of nests, or for the batch if one element of it is small."""
    if not _shares(nests):
        return []
    w.helper("thread_count")
    found = [f for f, _ in assignments_in(w.context.plan.body)]
    widest = max((f.index if isinstance(f.kind, MatrixProduct) else f.loops for f in found), key=lambda a: _elements(s, a))
    work = w.count(widest)
    if not nests.batch:
        return [f"const int threads = thread_count({work});"]
    own = w.count(tuple(a for a in widest if a != nests.batch))
    return [
        f"const int batch_threads = {own} < PARALLEL_ABOVE ? thread_count({work}) : 1;",
        f"const int threads = batch_threads > 1 ? 1 : thread_count({own});",
    ]


def _unread(nests: Nests, memory: Memory) -> list[str]:
    """A use of a variable that otherwise occurs only in OpenMP directives, against a warning where there is no OpenMP."""
    return ["(void)threads;"] if _shares(nests) and not memory.threads else []


def _streaming(s: Signature, w: Writer, nests: Nests) -> list[str]:
    """The lines that decide whether to write past the cache: if the results are larger than it, and no argument is donated."""
    plan = w.context.plan
    if not any(streamed(plan, p) for p in nests.parts if isinstance(p, RowNest | FlatNest)):
        return []
    written = (f for f, _ in assignments_in(plan.body) if f.name in plan.program.results)
    largest = max(written, key=lambda f: _elements(s, f.index))
    size = f"sizeof(real) * (size_t)({w.count(largest.index)})"
    pairs = [(r, a) for r, a in plan.overwritable if w.context.assignments[r].index]
    apart = "".join(f" && {w.names.tensor(r)} != {w.names.tensor(a)}" for r, a in pairs)
    return [f"const int streaming = {size} > STREAM_ABOVE{apart};"]
