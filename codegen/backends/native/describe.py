"""A schedule for people to read: its loops, where values live, and the bytes it moves beside the fewest possible.

Bytes are those of float32 at the op's reference sizes, for each element of the largest tensor. A nest is taken to read each
array that it touches once, since what it reads again is in the cache; the floor reads every argument and writes every result
once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from codegen.backends.native.flat import Flat
from codegen.backends.native.layout import programs
from codegen.backends.native.schedule import Item, Loop, Schedule, flats_in, schedule
from codegen.program import Kernel, Program
from derive import syntax as st
from derive.language.unicode import text
from derive.terms.style import DEFAULT_SIZE

BYTES = 4


@dataclass(frozen=True)
class Traffic:
    """The bytes that a program reads and writes at the reference sizes, and the fewest possible of both together."""

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
        self.plan: Schedule = schedule(program)
        self.sizes = dict(kernel.op.sizes)
        self.axes = {a.name: a.axes for a in program.arguments} | {f.name: f.index for f in self.plan.flats}

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
        if isinstance(item, Flat):
            yield indent + self.statement(item)
            return
        inner = [self.item(i, depth + 1) for i in item.body]
        kind = "vector" if item.innermost else "threads" if top else "rows"
        yield f"{indent}for {item.axis}  ({'threads, vector' if top and item.innermost and len(self.widest()) == 1 else kind})"
        for lines in inner:
            yield from lines

    def statement(self, f: Flat) -> str:
        left = f"{f.name}[{','.join(f.index)}]" if f.index else f.name
        note = {"product": "  (matrix product)", "scatter": "  (scatter-add)", "point": "  (one entry of each row)"}.get(
            f.kind, ""
        )
        if f.kind == "point":
            assert f.labels is not None
            return (
                f"{left} {'=' if f.replaces else '-='} {text(f.body)} in the one entry of each row that {f.labels.name} names"
            )
        tree = f.equation.tree if f.kind == "scatter" else f.body
        if f.reduces or f.kind == "product":
            tree = st.Reduce("sum" if f.kind == "product" else f.kind, f.reduced, f.body)
        again = "  (computed again where it is used)" if self.plan.places[f.name].kind == "again" else ""
        return f"{left} = {text(tree)}{note}{again}"

    def temporaries(self) -> Iterator[str]:
        for name, place in self.plan.places.items():
            if place.kind == "row":
                yield f"  {name}: a row [{','.join(place.axes)}] of each thread"
            elif place.kind == "array":
                where = f", in the memory of {place.over}" if place.over else ""
                yield f"  {name}: an array [{','.join(place.axes)}]{where}"

    # ---- bytes ---------------------------------------------------------------------------------------------------------

    def widest(self) -> tuple[str, ...]:
        return max((*(a.axes for a in self.program.arguments), *(f.index for f in self.plan.flats)), key=self.count)

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
        used = {n for f in self.plan.flats for n in self.through(f)}  # an argument may be there for its lengths alone
        floor = sum(self.count(a.axes) for a in self.program.arguments if a.name in used)
        floor += sum(self.count(self.axes[r]) for r in results)
        return Traffic(BYTES * read, BYTES * written, BYTES * floor)

    def touched(self, item: Item) -> tuple[set[str], set[str]]:
        """The arrays that a nest reads from memory, and those that it writes."""
        flats = [f for f, _ in flats_in((item,))]
        made = {f.name for f in flats if f.kind != "point"}
        stored = {n for n, p in self.plan.places.items() if p.kind in ("result", "array")} | {
            a.name for a in self.program.arguments
        }
        used = {n for f in flats for n in self.through(f)}
        return (used & stored) - made, {n for n in made if n in stored}

    def through(self, f: Flat) -> set[str]:
        """What a statement reads, through what is computed again for it; labels are counted as read."""
        again = {g.name: g for g in self.plan.flats if self.plan.places[g.name].kind == "again"}
        found = set(f.needs) | ({f.labels.name} if f.labels else set())
        todo = [name for name in found if again.get(name, f) is not f]
        for name in todo:
            new = set(again[name].needs) - found
            found |= new
            todo += [n for n in new if n in again]
        return found


__all__ = ["Traffic", "describe", "traffic"]
