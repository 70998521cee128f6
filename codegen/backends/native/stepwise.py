"""A program with loops over steps as a C function that calls others: one for a step, and one for what stands around a loop.

A step reads and writes its parts of tensors where they lie, and reads what the step before has written there. What is handed on
without being kept lies in one of two buffers, which change places. Parts whose elements lie apart are copied.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from codegen.backends.native.context import by_value
from codegen.backends.native.counts import Counts
from codegen.backends.native.placed import placeable
from codegen.backends.native.signature import Signature, signature
from codegen.loops.body import Body, Handed
from codegen.loops.segments import Segment, segments
from codegen.program import Argument
from derive import syntax as st

__all__ = ["Driver", "driver"]


@dataclass(frozen=True)
class Driver:
    """The lines of the function's body, and the functions that it calls."""

    lines: tuple[str, ...]
    parts: tuple[Signature, ...]
    helpers: frozenset[str]


@dataclass(frozen=True)
class Place:
    """Where a tensor lies: a pointer, and the array with the strides of its axes, or NULL where its elements are neighbours."""

    pointer: str
    strides: str = "NULL"


def driver(s: Signature) -> Driver:
    """The body of the function with this signature."""
    parts = segments(s.program)
    plain = [signature(s.op, p.program, placeable(p.program) if p.body else frozenset()) for p in parts]
    return _Writer(s).driver(list(zip(parts, plain, strict=True)))


@dataclass
class _Writer(Counts):
    s: Signature
    #: The buffers, each with its number of elements.
    buffers: dict[str, str] = field(default_factory=dict)
    #: The arrays of strides by what they hold.
    layouts: dict[tuple[str, ...], str] = field(default_factory=dict)
    helpers: set[str] = field(default_factory=lambda: {"padded", "borrow"})

    def __post_init__(self) -> None:
        self.own = {a.name for a in self.s.program.arguments}
        #: The arguments and constants that are given as numbers.
        self.numbers = {a.name for a in self.s.program.arguments if by_value(a)} | {c.name for c in self.s.program.constants}
        self.axes = {a.name: a.axes for a in self.s.program.arguments}
        self.axes |= {s.name: s.index for s in self.s.program.statements}

    # ---- names -----------------------------------------------------------------------------------------------------

    def size(self, axis: str) -> str:
        axis = st.axis_of(axis)
        return self.s.names.length(self.s.root.get(axis, axis))

    def name(self, name: str) -> str:
        return self.s.names.tensor(name)

    def buffer(self, name: str, axes: tuple[str, ...]) -> str:
        """A buffer of the call, over these axes."""
        found = self.name(name)
        self.buffers.setdefault(found, f"padded({self.count(axes)})")
        return found

    # ---- the body --------------------------------------------------------------------------------------------------

    def driver(self, parts: list[tuple[Segment, Signature]]) -> Driver:
        for part, _ in parts:
            self.axes |= {a.name: a.axes for a in part.program.arguments} | {s.name: s.index for s in part.program.statements}
        lines, inner = list[str](), list[Signature]()
        for part, found in parts:
            loop = _Loop(self, part, part.body, found) if part.body else None
            inner.append(loop.found if loop else found)
            lines += loop.lines() if loop else self.once(part, found, first=not lines)
        total = " + ".join(self.buffers.values())
        head = [f"void *const memory = borrow(sizeof(real) * (size_t)({total}));", "if (!memory) return OUT_OF_MEMORY;"]
        before = "memory"
        for k, (name, count) in enumerate(self.buffers.items()):
            head.append(f"real *{name} = {before};")
            before = f"{name} + {count}" if k + 1 < len(self.buffers) else ""
        head = head if self.buffers else []
        head += [f"const int64_t {name}[] = {{{', '.join(strides)}}};" for strides, name in self.layouts.items()]
        head += ["int code = 0;"] if parts[0][0].body else []
        tail = ["", *(["give_back(memory);"] if self.buffers else []), "return code;"]
        used = self.s.names.used
        unused = [f"(void){p.name};" for p in self.s.parameters if p.name not in used]
        return Driver((*unused, *head, *lines, *tail), tuple(inner), frozenset(self.helpers))

    def once(self, part: Segment, found: Signature, first: bool) -> Iterator[str]:
        """The call of what stands outside of loops."""
        for r in part.program.results:
            self.target(r)
        call = self.call(found, self.source, lambda name: Place(self.target(name)))
        yield ""
        yield f"int code = {call};" if first else f"if (!code) code = {call};"

    def target(self, name: str) -> str:
        """Where a tensor is written: into the caller's result, or a buffer."""
        return self.name(name) if name in self.s.program.results else self.buffer(name, self.axes[name])

    def source(self, a: Argument) -> Place:
        return Place(self.name(a.name) if a.name in self.own or not by_value(a) else f"*{self.name(a.name)}")

    def call(self, found: Signature, source: Callable[[Argument], Place], target: Callable[[str], Place]) -> str:
        """The call of a function."""
        given = [self.size(axis) for axis in found.axes]
        for a in found.program.arguments:
            place = source(a)
            given += [place.pointer, *([place.strides] if a.name in found.strided else [])]
        given += [self.name(c.name) for c in found.program.constants]
        for r in found.results:
            place = target(r)
            given += [place.pointer, *([place.strides] if r in found.placed else [])]
        return f"{found.program.name}({', '.join(given)})"

    # ---- parts of tensors ------------------------------------------------------------------------------------------

    def part(self, name: str, index: tuple[str, ...], axis: str, at: str) -> Place:
        """Where the part of a tensor lies that belongs to a step; the step's axis is not its last one of several."""
        place = index.index(axis)
        rest = index[:place] + index[place + 1 :]
        pointer = f"{self.name(name)} + {at} * {self.factor(index[place + 1 :])}"
        if place == 0:
            return Place(pointer)
        strides = tuple(self.count(index[k + 1 :]) for k in range(len(index)) if k != place)
        wanted = f"strides_{'_'.join(map(st.axis_of, rest))}"
        return Place(pointer, self.layouts.setdefault(strides, self.s.names.of(wanted, "layout", strides)))

    def strides(self, index: tuple[str, ...], axis: str, at: str) -> str:
        """How the parts of one step lie: how many there are, the number of steps, their length, and the step."""
        place = index.index(axis)
        return ", ".join([self.count(index[:place]), self.size(axis), self.count(index[place + 1 :]), at])


class _Loop:
    """Writes one loop over steps.

    ``placed`` are the local variables of a step that lie in the tensor that keeps them. ``found`` is the step's function.
    """

    def __init__(self, writer: _Writer, part: Segment, body: Body, found: Signature):
        self.w, self.part, self.body = writer, part, body
        self.axis = body.loop.axis
        self.at, self.steps = writer.s.names.index(self.axis), writer.size(self.axis)
        kept = {local: s.index for s, local in body.kept}
        lie = {local: index for local, index in kept.items() if self.lies(index, local in found.placed)}
        apart = {h.value for h in body.handed if not self.chains(h, found, lie.get(h.value))}
        self.placed = {local: s for s, local in body.kept if local in lie and local not in apart}
        strided = frozenset(local for local, s in self.placed.items() if s.index.index(self.axis))
        self.found = signature(writer.s.op, part.program, strided)

    def lies(self, index: tuple[str, ...], strided: bool) -> bool:
        """Whether a function takes the part of a tensor that belongs to a step where it lies."""
        place = index.index(self.axis)
        return place == 0 or (strided and place < len(index) - 1)

    def chains(self, h: Handed, found: Signature, index: tuple[str, ...] | None) -> bool:
        """Whether a step reads what is handed to it from the tensor that keeps it, over ``index``."""
        fits = bool(h.axes) and index is not None and self.body.rest(index) == h.axes
        return fits and h.name not in self.body.last.values() and self.lies(index or (), h.name in found.strided)

    def lines(self) -> Iterator[str]:
        w, body = self.w, self.body
        yield ""
        for h in body.handed:
            yield from self.first(h)
        for s, local in body.kept:
            w.target(s.name)
            if local not in self.placed:
                w.buffer(local, body.rest(s.index))
        up = f"for (int64_t {self.at} = 0; {self.at} < {self.steps} && !code; ++{self.at}) {{"
        yield f"for (int64_t {self.at} = {self.steps} - 1; {self.at} >= 0 && !code; --{self.at}) {{" if body.loop.down else up
        for alias, read in body.slices.items():
            yield from self.taken(alias, read)
        yield f"code = {w.call(self.found, self.source, self.target)};"
        for s, local in body.kept:
            if local not in self.placed:
                w.helpers.add("put_step")
                yield f"put_step({w.name(s.name)}, {w.name(local)}, {w.strides(s.index, self.axis, self.at)});"
        for h in body.handed:
            yield from self.handed(h)
        yield "}"
        for name, local in body.last.items():
            count = w.count(w.axes[local])
            yield f"memcpy({w.target(name)}, {w.name(local)}, sizeof(real) * (size_t)({count}));"

    # ---- what a step takes and gives -------------------------------------------------------------------------------

    def source(self, a: Argument) -> Place:
        read = self.body.slices.get(a.name)
        chained = next((h for h in self.body.handed if h.name == a.name and h.value in self.placed), None)
        if chained:
            return Place(self.w.name(a.name), self.reached(chained))
        if read and read.index.index(self.axis) and self.in_place(a.name, read):
            return self.sliced(a.name, read)
        return self.w.source(a)

    def target(self, name: str) -> Place:
        if s := self.placed.get(name):
            return self.w.part(s.name, s.index, self.axis, self.at)
        return Place(self.w.name(name))

    def in_place(self, alias: str, read: st.Read) -> bool:
        """Whether the step's function takes its part of a tensor where that lies."""
        return self.lies(tuple(map(str, read.index)), alias in self.found.strided)

    def sliced(self, alias: str, read: st.Read) -> Place:
        place, rest = read.index.index(self.axis), self.w.axes[alias]
        return self.w.part(read.name, (*rest[:place], self.axis, *rest[place:]), self.axis, self.at)

    def taken(self, alias: str, read: st.Read) -> Iterator[str]:
        """The line that copies a step's part of a tensor, or points to it."""
        w = self.w
        if self.in_place(alias, read):
            if read.index.index(self.axis) == 0:
                yield f"const real *const {w.name(alias)} = {self.sliced(alias, read).pointer};"
            return
        w.helpers.add("take_step")
        place, rest = read.index.index(self.axis), w.axes[alias]
        index = (*rest[:place], self.axis, *rest[place:])
        yield f"take_step({w.buffer(alias, rest)}, {w.name(read.name)}, {w.strides(index, self.axis, self.at)});"

    # ---- what a step hands to the next -----------------------------------------------------------------------------

    def first(self, h: Handed) -> Iterator[str]:
        """The lines that say what the first step reads."""
        w = self.w
        chained = h.value in self.placed
        if chained and isinstance(h.first, st.Read):
            yield f"const real *{w.name(h.name)} = {w.name(h.first.name)};"
        else:
            into = w.s.names.part(h.name, "first") if chained else w.buffer(h.name, h.axes)
            w.buffers.setdefault(into, f"padded({w.count(h.axes)})")
            size = f"sizeof(real) * (size_t)({w.count(h.axes)})"
            if not isinstance(h.first, st.Read):
                yield f"memset({into}, 0, {size});"
            elif h.first.name in w.numbers:
                yield f"*{into} = {w.name(h.first.name)};"
            else:
                yield f"memcpy({into}, {w.name(h.first.name)}, {size});"
            if chained:
                yield f"const real *{w.name(h.name)} = {into};"
        if not chained:
            w.buffer(h.value, h.axes)
        elif self.reached(h) != "NULL":
            yield f"const int64_t *{self.reached(h)} = NULL;"

    def reached(self, h: Handed) -> str:
        """The variable with the strides of what is handed on, NULL where it always lies close together."""
        apart = self.placed[h.value].index.index(self.axis) > 0
        return self.w.s.names.strides(h.name) if apart else "NULL"

    def handed(self, h: Handed) -> Iterator[str]:
        """The lines by which the next step reads what this one gave."""
        w = self.w
        one, other = w.name(h.name), w.name(h.value)
        if h.value in self.placed:
            place = self.target(h.value)
            yield f"{one} = {place.pointer};"
            if self.reached(h) != "NULL":
                yield f"{self.reached(h)} = {place.strides};"
            return
        spare = w.s.names.part(h.name, "before")
        yield f"real *const {spare} = {one};"
        yield f"{one} = {other};"
        yield f"{other} = {spare};"
