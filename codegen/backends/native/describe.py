"""A schedule as text: its loops, the storage of values, and the bytes it moves beside the fewest possible.

Bytes are counted in float32 at the op's reference sizes, for each element of the largest tensor. A nest counts as reading each
of its arrays once, since a second read is served by the cache. The fewest possible bytes are one read of every argument and one
write of every result.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import assert_never

from codegen.backends.native.machine import scheduled
from codegen.backends.native.programs import programs
from codegen.loops.assignment import (
    Assignment,
    Elementwise,
    EntryUpdate,
    MatrixProduct,
    Reduction,
    RunningSum,
    ScatterAdd,
    WindowProduct,
)
from codegen.loops.loop import Item, Loop, assignments_in
from codegen.loops.schedule import Schedule
from codegen.loops.storage import Array, Recomputed, Result, Row
from codegen.program import Kernel, Program
from derive import syntax as st
from derive.language.unicode import text
from derive.terms.factoring import DEFAULT_SIZE

BYTES = 4


@dataclass(frozen=True)
class Traffic:
    """The bytes that a program reads and writes at the reference sizes, and the fewest possible sum of both."""

    read: int
    written: int
    floor: int


def describe(kernel: Kernel) -> str:
    """The schedules of an op's native functions."""
    return "\n\n".join("\n".join(_Description(kernel, p).lines()) for p in programs(kernel))


def traffic(kernel: Kernel, program: Program) -> Traffic:
    """The bytes that one of an op's native functions moves."""
    return _Description(kernel, program).traffic()


class _Description:
    def __init__(self, kernel: Kernel, program: Program):
        self.program = program
        self.plan: Schedule = scheduled(program)
        self.sizes = dict(kernel.op.sizes)
        self.axes = {a.name: a.axes for a in program.arguments} | {f.name: f.index for f in self.plan.assignments}

    def lines(self) -> Iterator[str]:
        yield self.program.name
        if self.plan.batch:
            yield f"  for {self.plan.batch}  (one after the other, or threads where they are small)"
        for item in self.nests():
            yield from self.item(item, 2 if self.plan.batch else 1, top=True)
        yield from self.temporaries()
        yield from self.bytes_moved()

    def nests(self) -> tuple[Item, ...]:
        first = self.plan.body[0]
        return first.body if self.plan.batch and isinstance(first, Loop) else self.plan.body

    # ---- loops ---------------------------------------------------------------------------------------------------------

    def item(self, item: Item, depth: int, top: bool = False) -> Iterator[str]:
        indent = "  " * depth
        if isinstance(item, Assignment):
            yield indent + self.statement(item)
            return
        inner = [self.item(i, depth + 1) for i in item.body]
        kind = "vector" if item.innermost else "threads" if top else "rows"
        yield f"{indent}for {item.axis}  ({'threads, vector' if top and item.innermost and len(self.widest()) == 1 else kind})"
        for lines in inner:
            yield from lines

    def statement(self, f: Assignment) -> str:
        left = f"{f.name}[{','.join(f.index)}]" if f.index else f.name
        again = "  (computed again where it is used)" if isinstance(self.plan.storage[f.name], Recomputed) else ""
        match f.kind:
            case EntryUpdate(labels, replaces):
                sign = "=" if replaces else "-="
                return f"{left} {sign} {text(f.body)} in the one entry of each row that {labels.name} names"
            case WindowProduct(over=over):
                return f"{left} = {text(st.Reduce('sum', over, f.body))}  (matrix products)"
            case RunningSum():
                return f"{left} = {text(f.equation.tree)}  (running sum)"
            case ScatterAdd():
                return f"{left} = {text(f.equation.tree)}  (scatter-add)"
            case MatrixProduct():
                return f"{left} = {text(st.Reduce('sum', f.kind.over, f.body))}  (matrix product)"
            case Reduction(fold, over):
                return f"{left} = {text(st.Reduce(fold.value, over, f.body))}"
            case Elementwise():
                return f"{left} = {text(f.body)}{again}"
        assert_never(f.kind)

    def temporaries(self) -> Iterator[str]:
        for name, place in self.plan.storage.items():
            match place:
                case Row(axes):
                    yield f"  {name}: a row [{','.join(axes)}] of each thread"
                case Array(axes, over):
                    yield f"  {name}: an array [{','.join(axes)}]" + (f", in the memory of {over}" if over else "")

    # ---- bytes ---------------------------------------------------------------------------------------------------------

    def widest(self) -> tuple[str, ...]:
        return max((*(a.axes for a in self.program.arguments), *(f.index for f in self.plan.assignments)), key=self.count)

    def count(self, axes: tuple[str, ...]) -> int:
        n = 1
        for a in axes:
            n *= self.sizes.get(st.axis_of(a), DEFAULT_SIZE)
        return n

    def bytes_moved(self) -> Iterator[str]:
        found = self.traffic()
        per = 1 / self.count(self.widest())
        element = f"element of [{', '.join(self.widest())}]" if self.widest() else "call"
        yield (
            f"  bytes for each {element}: {found.read * per:.3g} read, {found.written * per:.3g} written; "
            f"floor {found.floor * per:.3g}, so {(found.read + found.written) / found.floor:.2f} times the floor"
        )

    def traffic(self) -> Traffic:
        read = written = 0
        for item in self.nests():
            came, went = self.touched(item)
            read += sum(self.count(self.axes[n]) for n in came)
            written += sum(self.count(self.axes[n]) for n in went)
        results = set(self.program.results)
        used = {n for f in self.plan.assignments for n in self.through(f)}  # an argument may be needed for its lengths alone
        floor = sum(self.count(a.axes) for a in self.program.arguments if a.name in used)
        floor += sum(self.count(self.axes[r]) for r in results)
        return Traffic(BYTES * read, BYTES * written, BYTES * floor)

    def touched(self, item: Item) -> tuple[set[str], set[str]]:
        """The arrays that a nest reads from memory, and those that it writes."""
        assignments = [f for f, _ in assignments_in((item,))]
        made = {f.name for f in assignments if not f.updates}
        stored = {n for n, p in self.plan.storage.items() if isinstance(p, Result | Array)} | {
            a.name for a in self.program.arguments
        }
        used = {n for f in assignments for n in self.through(f)}
        return (used & stored) - made, {n for n in made if n in stored}

    def through(self, f: Assignment) -> set[str]:
        """The names that a statement reads, labels included. In place of a rematerialised name stand the names it reads."""
        again = {g.name: g for g in self.plan.assignments if isinstance(self.plan.storage[g.name], Recomputed)}
        found = set(f.needs) | ({f.kind.labels.name} if isinstance(f.kind, EntryUpdate | ScatterAdd) else set())
        todo = [name for name in found if again.get(name, f) is not f]
        for name in todo:
            new = set(again[name].needs) - found
            found |= new
            todo += [n for n in new if n in again]
        return found


__all__ = ["Traffic", "describe", "traffic"]
