"""A program with loops over steps as a C function that calls others: one for a step, and one for what stands around a loop.

What a step hands to the next lies in one of two buffers, which change places. Parts of tensors that belong to a step are copied
where their elements lie apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from codegen.backends.native.context import by_value
from codegen.backends.native.signature import Signature, signature
from codegen.loops.body import Body
from codegen.loops.segments import Segment, segments
from codegen.program import Argument, Program
from derive import syntax as st

__all__ = ["Driver", "driver"]


@dataclass(frozen=True)
class Driver:
    """The lines of the function's body, and the programs of the functions that it calls."""

    lines: tuple[str, ...]
    programs: tuple[Program, ...]
    helpers: frozenset[str]


def driver(s: Signature) -> Driver:
    """The body of the function with this signature."""
    parts = segments(s.program)
    return _Writer(s, {p.program.name: signature(s.op, p.program) for p in parts}).driver(parts)


@dataclass
class _Writer:
    s: Signature
    inner: dict[str, Signature]
    #: The buffers, each with its number of elements.
    buffers: dict[str, str] = field(default_factory=dict)
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

    def count(self, axes: tuple[str, ...]) -> str:
        return " * ".join(map(self.size, axes)) or "1"

    def name(self, name: str) -> str:
        return self.s.names.tensor(name)

    def buffer(self, name: str, axes: tuple[str, ...]) -> str:
        """A buffer of the call, over these axes."""
        found = self.name(name)
        self.buffers.setdefault(found, f"padded({self.count(axes)})")
        return found

    # ---- the body --------------------------------------------------------------------------------------------------

    def driver(self, parts: list[Segment]) -> Driver:
        for part in parts:
            self.axes |= {a.name: a.axes for a in part.program.arguments} | {s.name: s.index for s in part.program.statements}
        lines = [line for part in parts for line in (self.loop(part, part.body) if part.body else self.once(part))]
        total = " + ".join(self.buffers.values())
        head = [f"void *const memory = borrow(sizeof(real) * (size_t)({total}));", "if (!memory) return OUT_OF_MEMORY;"]
        before = "memory"
        for k, (name, count) in enumerate(self.buffers.items()):
            head.append(f"real *{name} = {before};")
            before = f"{name} + {count}" if k + 1 < len(self.buffers) else ""
        head = head if self.buffers else []
        tail = ["", *(["give_back(memory);"] if self.buffers else []), "return code;"]
        used = self.s.names.used
        unused = [f"(void){p.name};" for p in self.s.parameters if p.name not in used]
        return Driver(
            (*unused, *head, "int code = 0;", *lines, *tail), tuple(p.program for p in parts), frozenset(self.helpers)
        )

    def once(self, part: Segment) -> Iterator[str]:
        """The call of what stands outside of loops."""
        for r in part.program.results:
            self.target(r)
        yield ""
        yield f"if (!code) code = {self.call(part.program, self.pointer, self.target)};"

    def target(self, name: str) -> str:
        """Where a tensor is written: into the caller's result, or a buffer."""
        return self.name(name) if name in self.s.program.results else self.buffer(name, self.axes[name])

    def pointer(self, a: Argument) -> str:
        if a.name in self.own or not by_value(a):
            return self.name(a.name)
        return f"*{self.name(a.name)}"

    def call(self, program: Program, source: Callable[[Argument], str], target: Callable[[str], str]) -> str:
        """The call of the function of a program, whose arguments all are contiguous."""
        found = self.inner[program.name]
        given = [self.size(axis) for axis in found.axes]
        for a in program.arguments:
            given += [source(a), *(["NULL"] if a.name in found.strided else [])]
        given += [self.name(c.name) for c in program.constants]
        given += [target(r) for r in found.results]
        return f"{program.name}({', '.join(given)})"

    # ---- loops -----------------------------------------------------------------------------------------------------

    def loop(self, part: Segment, body: Body) -> Iterator[str]:
        axis = body.loop.axis
        at, steps = self.s.names.index(axis), self.size(axis)
        yield ""
        handed = {h.value for h in body.handed}
        for h in body.handed:
            yield from self.first(h.name, h.first, h.axes)
            self.buffer(h.value, h.axes)
        direct = {local: s for s, local in body.kept if s.index.index(axis) == 0 and local not in handed}
        for s, local in body.kept:
            self.target(s.name)
            if local not in direct:
                self.buffer(local, body.rest(s.index))
        up = f"for (int64_t {at} = 0; {at} < {steps} && !code; ++{at}) {{"
        yield f"for (int64_t {at} = {steps} - 1; {at} >= 0 && !code; --{at}) {{" if body.loop.down else up
        for alias, read in body.slices.items():
            yield from self.taken(alias, read, axis, at)

        def target(name: str) -> str:
            if name in direct:
                s = direct[name]
                return f"{self.name(s.name)} + {at} * ({self.count(body.rest(s.index))})"
            return self.name(name)

        yield f"code = {self.call(part.program, self.pointer, target)};"
        for s, local in body.kept:
            if local not in direct:
                self.helpers.add("put_step")
                yield f"put_step({self.name(s.name)}, {self.name(local)}, {self.strides(s.index, axis, at)});"
        for h in body.handed:
            yield from self.swapped(h.name, h.value)
        yield "}"
        for name, local in body.last.items():
            count = self.count(self.axes[local])
            yield f"memcpy({self.target(name)}, {self.name(local)}, sizeof(real) * (size_t)({count}));"

    def first(self, name: str, first: st.Tree, axes: tuple[str, ...]) -> Iterator[str]:
        """The lines that put what the first step reads into a buffer."""
        into, size = self.buffer(name, axes), f"sizeof(real) * (size_t)({self.count(axes)})"
        if not isinstance(first, st.Read):
            yield f"memset({into}, 0, {size});"
        elif first.name in self.numbers:
            yield f"*{into} = {self.name(first.name)};"
        else:
            yield f"memcpy({into}, {self.name(first.name)}, {size});"

    def taken(self, alias: str, read: st.Read, axis: str, at: str) -> Iterator[str]:
        """The line that gives a step its part of a tensor."""
        place, rest = read.index.index(axis), self.axes[alias]
        if place == 0:
            yield f"const real *const {self.name(alias)} = {self.name(read.name)} + {at} * ({self.count(rest)});"
            return
        self.helpers.add("take_step")
        index = (*rest[:place], axis, *rest[place:])
        yield f"take_step({self.buffer(alias, rest)}, {self.name(read.name)}, {self.strides(index, axis, at)});"

    def strides(self, index: tuple[str, ...], axis: str, at: str) -> str:
        """How the parts of one step lie: how many there are, the number of steps, their length, and the step."""
        place = index.index(axis)
        return ", ".join([self.count(index[:place]), self.size(axis), self.count(index[place + 1 :]), at])

    def swapped(self, name: str, value: str) -> Iterator[str]:
        one, other = self.name(name), self.name(value)
        spare = self.s.names.part(name, "before")
        yield f"real *const {spare} = {one};"
        yield f"{one} = {other};"
        yield f"{other} = {spare};"
