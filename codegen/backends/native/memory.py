"""The scratch memory of a call, allocated in one piece: totals of reductions over rows, arrays, and each thread's buffers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from codegen.backends.native.convolutions import buffers
from codegen.backends.native.folds import FOLDS
from codegen.backends.native.nests import arrays
from codegen.backends.native.private import pieces
from codegen.backends.native.streams import streamed
from codegen.backends.native.writer import Writer
from codegen.loops.nest import Convolution, FlatNest, Nests, RowNest, Total


@dataclass(frozen=True)
class Memory:
    """The parts of the scratch memory, each a name and a length in C: ``totals`` in double precision, the others ``reals``.

    ``threads`` says whether a length depends on the number of threads.
    """

    totals: tuple[tuple[str, str], ...]
    reals: tuple[tuple[str, str], ...]
    threads: bool

    @property
    def empty(self) -> bool:
        return not (self.totals or self.reals)


def memory_of(w: Writer, nests: Nests) -> Memory:
    """The scratch memory that a body needs."""
    totals = tuple((w.names.part(t.assignment.name, "totals"), _of_threads(w, t)) for t in _totals(nests))
    times = "batch_threads * " if nests.batch else ""
    of_call = {
        (w.names.part(n, "parts") if nests.batch else w.names.tensor(n)): f"{times}padded({w.count(axes)})"
        for n, axes in arrays(w.context)
    }
    of_threads: dict[str, str] = {}
    for nest in nests.parts:
        if isinstance(nest, Convolution):
            of_call |= buffers(w, nest)
        if isinstance(nest, RowNest):
            for p in pieces(w, nest, streamed(w.context.plan, nest)):
                of_threads.setdefault(p.own.of_all(w, p.assignment.name), f"{times}threads * padded({p.count})")
    return Memory(totals, (*of_call.items(), *of_threads.items()), bool(totals or of_threads))


def _totals(nests: Nests) -> Iterator[Total]:
    for nest in nests.parts:
        if isinstance(nest, RowNest | FlatNest):
            yield from nest.totals


def _of_threads(w: Writer, t: Total) -> str:
    return f"threads * padded({w.count(t.assignment.index)})"


def borrowed(w: Writer, nests: Nests, memory: Memory) -> list[str]:
    """The lines that allocate the memory, declare pointers to its parts, and set the totals to their start."""
    if memory.empty:
        return []
    w.helper("padded", "borrow")
    parts = (("double", memory.totals), ("real", memory.reals))
    sizes = {kind: " + ".join(count for _, count in own) for kind, own in parts}
    size = " + ".join(f"sizeof({kind}) * (size_t)({count})" for kind, count in sizes.items() if count)
    lines = [f"void *const memory = borrow({size});", "if (!memory) return OUT_OF_MEMORY;"]
    before = ""
    for kind, own in parts:
        for k, (name, count) in enumerate(own):
            start = "memory" if not before else f"({kind} *)({before})" if k == 0 else before
            lines.append(f"{kind} *const {name} = {start};")
            before = f"{name} + {count}"
    if memory.totals:
        lines.append(f"memset(memory, 0, sizeof(double) * (size_t)({sizes['double']}));")
    return [*lines, *(line for t in _totals(nests) for line in _started(w, t))]


def _started(w: Writer, t: Total) -> Iterator[str]:
    """The loop that sets the totals of an extremum or a product to their start, which is not 0."""
    if not t.fold.adds:
        name = w.names.part(t.assignment.name, "totals")
        yield f"for (int64_t k = 0; k < {_of_threads(w, t)}; ++k) {name}[k] = {FOLDS[t.fold].start};"
