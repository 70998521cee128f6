"""C's spelling of the elements of tensors: which pointer, which row, which offset, and what is held in a variable.

A loop variable is named after its axis and the length of axis ``n`` is ``size_n``, so that ``dy[n, d]`` of an equation is
found again as ``dy_n[d]``: ``dy_n`` points to row ``n`` of ``dy``. Every name comes from
:class:`codegen.backends.native.names.Names`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from codegen.backends.native.names import Names
from codegen.backends.native.printer import CExpressions
from codegen.loops.assignment import Assignment, Elementwise, EntryUpdate, fold_of
from codegen.loops.loop import Item, Loop, assignments_in
from codegen.loops.schedule import Schedule
from codegen.loops.shifted import shifted_sums
from codegen.loops.storage import Array, Recomputed, Result, Row, Variable
from codegen.program import Argument
from derive import syntax as st

Indices = tuple[st.Index, ...]


def by_value(a: Argument) -> bool:
    """Whether a kernel takes an argument as a number and not as a pointer."""
    return not a.axes and a.labels is None


def argument_strides(a: Argument) -> bool:
    """Whether a kernel takes strides for an argument: for floating-point ones of two axes or more."""
    return a.labels is None and len(a.axes) > 1


class CElements:
    """The names in scope while a schedule is printed, and the lines printed so far.

    ``taken`` are the arguments as the function takes them, which may have more axes than the schedule knows of.

    ``path`` are the loops around; ``values``, ``rows`` and ``labels`` what is held in variables: elements, pointers to rows
    (by the leading indices) and labels.
    """

    def __init__(
        self, plan: Schedule, root: dict[str, str], taken: tuple[Argument, ...], strided: frozenset[str], names: Names
    ):
        self.plan, self.root, self.strided, self.names = plan, root, strided, names
        self.arguments = {a.name: a for a in plan.program.arguments}
        self.assignments = plan.assignments
        self.by_name = {f.name: f for f in reversed(self.assignments)}
        self.spell = CExpressions(plan.program.name, self.value, self.size, self.index)
        self.spell.accurate = plan.program.accurate
        self.spell.invertible = shifted_sums(plan.assignments)
        self.constants = frozenset(c.name for c in plan.program.constants)
        self.spell.constants = self.constants | self.numbers()
        self.lines: list[str] = []
        self.path: tuple[str, ...] = ()
        self.values: dict[tuple[str, Indices], str] = {(a.name, ()): names.tensor(a.name) for a in taken if by_value(a)}
        self.rows: dict[tuple[str, Indices], str] = {}
        #: The axis of which a chunk is run along, "" outside of one, and the pointers to the chunk of tensors over it.
        self.chunk = ""
        self.in_chunk: dict[str, str] = {}
        self.labels: dict[st.Lookup, str] = {}
        self.accumulators: dict[str, str] = {}
        self.strides: dict[tuple[str, str], str] = {}
        #: Results of the nest being printed that are written beside their memory and then streamed into it.
        self.streamed: tuple[Assignment, ...] = ()

    def emit(self, line: str) -> None:
        self.lines.append(line)

    def helper(self, name: str) -> None:
        self.spell.helpers[name] = None

    @contextmanager
    def scope(self, *axes: str) -> Iterator[None]:
        """What is declared inside is forgotten after; ``axes`` are the loops that the scope is the body of."""
        kept = self.path, dict(self.values), dict(self.rows), dict(self.labels), dict(self.accumulators)
        self.path = (*self.path, *axes)
        yield
        self.path, self.values, self.rows, self.labels, self.accumulators = kept

    # ---- lengths -----------------------------------------------------------------------------------------------------

    def size(self, axis: str) -> str:
        axis = st.axis_of(axis)
        return self.names.length(self.root.get(axis, axis))

    def count(self, axes: tuple[str, ...]) -> str:
        return " * ".join(map(self.size, axes)) or "1"

    def head(self, axis: str, count: str = "") -> str:
        """The head of a loop over an axis."""
        i = self.names.index(axis)
        return f"for (int64_t {i} = 0; {i} < {count or self.size(axis)}; ++{i})"

    def flat_index(self, index: tuple[str, ...]) -> str:
        """The position of an element in contiguous memory over exactly these indices."""
        terms = [
            self.names.index(i) if k == len(index) - 1 else f"{self.names.index(i)} * {self.factor(index[k + 1 :])}"
            for k, i in enumerate(index)
        ]
        return " + ".join(terms) or "0"

    def factor(self, axes: tuple[str, ...]) -> str:
        return f"({self.count(axes)})" if len(axes) > 1 else self.count(axes)

    # ---- elements ----------------------------------------------------------------------------------------------------

    def index(self, index: st.Index) -> str:
        """An index as C: the loop variable of an axis, which counts from the first of a chunk, or a label."""
        if isinstance(index, str):
            name = self.names.index(index)
            return f"(first + {name})" if index == self.chunk else name
        return self.labels.get(index) or self.element(index.name, index.index)

    def value(self, read: st.Read) -> str:
        """A read as C: the variable that holds it, or the element of its array."""
        if read.name in self.constants:
            return self.names.tensor(read.name)
        if (read.name, read.index) not in self.values and self.again(read.name):
            self.define(self.by_name[read.name])
        return self.values.get((read.name, read.index)) or self.element(read.name, read.index)

    def again(self, name: str) -> bool:
        """Whether a value is computed where it is used."""
        return name in self.by_name and isinstance(self.plan.storage[name], Recomputed)

    def define(self, f: Assignment) -> None:
        """Compute a value into a variable."""
        raise NotImplementedError

    def numbers(self) -> frozenset[str]:
        """The values that depend on constants only, and live in variables: these have double precision."""
        found = set(self.constants)
        for f in self.assignments:
            plain = (
                isinstance(f.kind, Elementwise) and not f.index and isinstance(self.plan.storage[f.name], Variable | Recomputed)
            )
            inside = [n for n in st.walk(f.body) if isinstance(n, st.Read | st.Match | st.Reduce)]
            if plain and all(isinstance(n, st.Read) and n.name in found for n in inside):
                found.add(f.name)
        return frozenset(found)

    def in_memory(self, f: Assignment) -> bool:
        return isinstance(self.plan.storage[f.name], Result | Row | Array)

    def axes(self, name: str) -> tuple[str, ...]:
        return self.arguments[name].axes if name in self.arguments else self.by_name[name].index

    def stored(self, name: str) -> tuple[str, tuple[str, ...]]:
        """The pointer to a tensor's memory, and the axes of what it points to."""
        if name in self.arguments:
            return self.names.tensor(name), self.arguments[name].axes
        place = self.plan.storage[name]
        if isinstance(place, Row):
            return self.names.part(name, "row"), place.axes
        while isinstance(place, Array) and place.over:
            name = place.over
            place = self.plan.storage[name]
        assert isinstance(place, Result | Array)
        return self.names.tensor(name), place.axes

    def inside(self, name: str, index: Indices) -> Indices:
        """The part of an index that a buffer has: a row of ``e[n, c]`` has only ``c``."""
        own, full = self.stored(name)[1], self.axes(name)
        return index if len(own) == len(full) else tuple(i for a, i in zip(full, index, strict=True) if a in own)

    def element(self, name: str, index: Indices) -> str:
        base, own = self.stored(name)
        at = self.inside(name, index)
        if not at:
            return f"*{base}"
        if name in self.in_chunk and at == (self.chunk,):
            return f"{self.in_chunk[name]}[{self.names.index(self.chunk)}]"
        if (name, at[:-1]) in self.rows:
            return f"{self.rows[name, at[:-1]]}[{self.index(at[-1])}]"
        return f"{base}[{self.offset(name, at, own)}]"

    def offset(self, name: str, at: Indices, own: tuple[str, ...]) -> str:
        """The position of an element, or of a row where ``at`` is shorter than the axes."""
        terms = []
        for k, i in enumerate(at):
            stride = self.stride(name, own, k)
            terms.append(self.index(i) if stride == "1" else f"{self.index(i)} * {stride}")
        return " + ".join(terms) or "0"

    def stride(self, name: str, own: tuple[str, ...], k: int) -> str:
        if k == len(own) - 1:
            return "1"
        if name in self.strided:
            stride = self.names.of(f"{name}_stride_{own[k]}", "stride", name, own[k])
            self.strides[name, own[k]] = stride
            return stride
        return self.factor(own[k + 1 :])

    # ---- what a body needs declared before it --------------------------------------------------------------------------

    def prepare(self, item: Item) -> None:
        """Load what does not change inside an item, and point to the rows that it runs along, as soon as both are known."""
        inner = list(assignments_in(item.body, (item,))) if isinstance(item, Loop) else [(item, ())]
        made = {f.name for f, _ in inner}
        for f, path in inner:
            if f.opaque:
                continue
            loops = (*self.path, *(loop.axis for loop in path))
            for name, index in dict.fromkeys(self.accesses(f)):
                self.access(name, index, loops, loadable=name not in made and isinstance(item, Loop))

    def access(self, name: str, index: Indices, loops: tuple[str, ...], loadable: bool) -> None:
        """Declare what one access needs at this level."""
        for i in index:
            self.load_label(i)
        if name in self.constants:
            return
        at = self.inside(name, index)
        if self.known(index) and loadable:
            self.load(name, index)
        elif len(at) > 1 and self.known(at[:-1]) and at[-1] in loops and not self.known(at[-1:]):
            self.point(name, at[:-1])
        elif len(at) == 1 and self.by_name.get(name) in self.streamed and not self.known(at):
            self.point(name, ())

    def accesses(self, f: Assignment, through: set[str] | None = None) -> Iterator[tuple[str, Indices]]:
        """Every element that a statement reads or writes, through what is computed again as well, but each of that once."""
        through = set() if through is None else through
        for node in st.walk(f.body):
            if isinstance(node, st.Read):
                if self.again(node.name):
                    if node.name not in through:
                        through.add(node.name)
                        yield from self.accesses(self.by_name[node.name], through)
                elif not (node.name in self.by_name and isinstance(self.plan.storage[node.name], Variable)):
                    yield node.name, node.index
            elif isinstance(node, st.Match):
                yield from ((i.name, i.index) for i in (node.left, node.right) if isinstance(i, st.Lookup))
        if f.updates or (not fold_of(f) and self.in_memory(f)):
            yield f.name, f.index
        if isinstance(f.kind, EntryUpdate):
            yield f.kind.labels.name, f.kind.labels.index

    def known(self, index: Indices) -> bool:
        return all(i in self.path for slot in index for i in st.index_names(slot))

    def load_label(self, index: st.Index) -> None:
        if isinstance(index, st.Lookup) and index not in self.labels and self.known((index,)):
            for i in index.index:
                self.load_label(i)
            name = self.at(index.name, tuple(st.index_names(index)), "label")
            self.emit(f"const int64_t {name} = {self.element(index.name, index.index)};")
            self.labels[index] = name

    def load(self, name: str, index: Indices) -> None:
        if (name, index) in self.values or (name in self.arguments and self.arguments[name].labels is not None):
            return
        local = self.at(name, index, "value")
        self.emit(f"const real {local} = {self.element(name, index)};")
        self.values[name, index] = local

    def point(self, name: str, lead: Indices) -> None:
        """Declare the pointer to a row, or to the buffer beside it."""
        if (name, lead) in self.rows:
            return
        base, own = self.stored(name)
        place = f"{base} + {self.offset(name, lead, own)}" if lead else base
        self.rows[name, lead] = self.declare(name, self.at(name, lead, "values"), place)

    def declare(self, name: str, pointer: str, place: str) -> str:
        """Declare a pointer to a place in a tensor's memory, or to the buffer beside it; its name."""
        argument = self.arguments.get(name)
        const = "const " if argument else ""
        kind = "int64_t" if argument and argument.labels else "real"
        if self.by_name.get(name) in self.streamed:
            place = f"streaming ? {self.names.part(name, 'buffer')} : {place}"
        self.emit(f"{const}{kind} *const {pointer} = {place};")
        return pointer

    def at(self, name: str, index: Indices, kind: str) -> str:
        """A name for what a tensor has at an index: ``x_n`` for a value of ``x[n]`` or for row ``n`` of ``x``."""
        subscripts = "_".join(self.names.index(i) if isinstance(i, str) else self.subscript(i) for i in index)
        return self.names.of(f"{name}_{subscripts or kind}", kind, name, index)

    def subscript(self, label: st.Lookup) -> str:
        return self.labels.get(label) or "_".join([label.name, *map(self.names.index, st.index_names(label))])
