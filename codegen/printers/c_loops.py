"""C's spelling of a schedule: the body of one function, as lines that the formatter indents.

A loop variable is named after its axis and the length of axis ``n`` is ``size_n``, so that ``dy[n, d]`` of an equation is
found again as ``dy_n[d]``: ``dy_n`` points to row ``n`` of ``dy``. What is computed has its author's name.

Rows are spread over threads. Sums over the rows go to a block of each thread in working precision, at most 64 rows long,
and from there to a total in double precision; the totals of the threads are added in their order, so that a result is the
same from run to run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from codegen.native.flat import Flat, matrix_axes
from codegen.native.schedule import Item, Loop, Schedule, flats_in, needs
from codegen.printers.c import CExpressions
from codegen.program import Argument
from derive import syntax as st
from derive.unicode import language

START = {"sum": "0", "mean": "0", "max": "-INFINITY", "min": "INFINITY"}


@dataclass(frozen=True)
class Memory:
    """A piece of the call's scratch memory; ``each`` says that every thread has one."""

    name: str
    count: str
    each: bool


class CBody:
    """Prints the nests of one schedule; collects scratch memory, helpers and functions."""

    def __init__(self, plan: Schedule, root: dict[str, str], strided: frozenset[str]):
        self.plan, self.root, self.strided = plan, root, strided
        self.arguments = {a.name: a for a in plan.program.arguments}
        self.flats = plan.flats
        self.by_name = {f.name: f for f in reversed(self.flats)}
        self.spell = CExpressions(plan.program.name, self.value, self.size, self.index)
        self.spell.constants = frozenset(c.name for c in plan.program.constants)
        self.lines: list[str] = []
        self.path: tuple[str, ...] = ()
        self.values: dict[tuple[str, tuple[st.Index, ...]], str] = {}
        self.rows: dict[tuple[str, tuple[st.Index, ...]], str] = {}
        self.labels: dict[st.Lookup, str] = {}
        self.accumulators: dict[str, str] = {}
        self.scratch: list[Memory] = []
        self.totals: list[tuple[str, str]] = []
        self.strides: dict[tuple[str, str], None] = {}
        self.streams = False
        for a in plan.program.arguments:
            if a.labels is None and not a.axes:
                self.values[a.name, ()] = a.name

    def printed(self) -> list[str]:
        for item in self.plan.body:
            if isinstance(item, Loop):
                self.lines.append("")
                self.nest(item)
            else:
                self.prepare(item)
                self.flat(item)
        return self.lines

    def emit(self, line: str) -> None:
        self.lines.append(line)

    # ---- scopes ------------------------------------------------------------------------------------------------------

    @contextmanager
    def scope(self, axis: str = "") -> Iterator[None]:
        """What is declared inside is forgotten after; ``axis`` is the loop that the scope is the body of."""
        kept = self.path, dict(self.values), dict(self.rows), dict(self.labels), dict(self.accumulators)
        if axis:
            self.path = (*self.path, axis)
        yield
        self.path, self.values, self.rows, self.labels, self.accumulators = kept

    # ---- elements ----------------------------------------------------------------------------------------------------

    def size(self, axis: str) -> str:
        axis = st.axis_of(axis)
        return f"size_{self.root.get(axis, axis)}"

    def count(self, axes: tuple[str, ...]) -> str:
        return " * ".join(map(self.size, axes)) or "1"

    def index(self, index: st.Index) -> str:
        """An index as C: the loop variable of an axis, or a label."""
        if isinstance(index, str):
            return variable(index)
        if index in self.labels:
            return self.labels[index]
        return self.element(index.name, index.index)

    def value(self, read: st.Read) -> str:
        """A read as C: the variable that holds it, or the element of its array."""
        if read.name in self.spell.constants:
            return read.name
        if (read.name, read.index) in self.values:
            return self.values[read.name, read.index]
        f = self.by_name.get(read.name)
        if f is not None and self.plan.places[f.name].kind == "again":
            self.define(f)
            return self.values[read.name, read.index]
        return self.element(read.name, read.index)

    def stored(self, name: str) -> tuple[str, tuple[str, ...]]:
        """The pointer to a tensor's memory, and the axes of what it points to."""
        if name in self.arguments:
            return name, self.arguments[name].axes
        place = self.plan.places[name]
        if place.kind == "row":
            return f"{name}_row", place.axes
        while place.over:
            name = place.over
            place = self.plan.places[name]
        return name, self.by_name[name].index

    def axes(self, name: str) -> tuple[str, ...]:
        return self.arguments[name].axes if name in self.arguments else self.by_name[name].index

    def inside(self, name: str, index: tuple[st.Index, ...]) -> tuple[st.Index, ...]:
        """The part of an index that a buffer has: a row of ``e[n, c]`` has only ``c``."""
        own = self.stored(name)[1]
        full = self.axes(name)
        return index if len(own) == len(full) else tuple(i for a, i in zip(full, index, strict=True) if a in own)

    def element(self, name: str, index: tuple[st.Index, ...]) -> str:
        base, own = self.stored(name)
        at = self.inside(name, index)
        if not at:
            return f"*{base}"
        if (name, at[:-1]) in self.rows:
            return f"{self.rows[name, at[:-1]]}[{self.index(at[-1])}]"
        return f"{base}[{self.offset(name, at, own)}]"

    def offset(self, name: str, at: tuple[st.Index, ...], own: tuple[str, ...]) -> str:
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
            self.strides[name, own[k]] = None
            return f"{name}_stride_{own[k]}"
        rest = self.count(own[k + 1 :])
        return rest if " " not in rest else f"({rest})"

    # ---- what a body needs declared before it ----------------------------------------------------------------------------

    def prepare(self, item: Item) -> None:
        """Load what does not change inside an item, and point to the rows that it runs along, as soon as both are known."""
        inner = flats_in(item.body, (item,)) if isinstance(item, Loop) else [(item, ())]
        made = {f.name for f, _ in flats_in((item,))}
        for f, path in list(inner):
            if f.opaque:
                continue
            loops = (*self.path, *(l.axis for l in path))
            for name, index in dict.fromkeys(self.accesses(f)):
                for i in index:
                    self.load_label(i)
                if name in self.spell.constants:
                    continue
                at = self.inside(name, index)
                if self.known(index) and name not in made and isinstance(item, Loop):
                    self.load(name, index)
                elif len(at) > 1 and self.known(at[:-1]) and at[-1] in loops and not self.known(at[-1:]):
                    self.point(name, at[:-1])
                elif len(at) == 1 and self.by_name.get(name) in self.streamed and not self.known(at):
                    self.point(name, ())

    streamed: tuple[Flat, ...] = ()

    def accesses(self, f: Flat) -> Iterator[tuple[str, tuple[st.Index, ...]]]:
        """Every element that a statement reads or writes, through what is computed again as well."""
        for node in st.walk(f.body):
            if isinstance(node, st.Read):
                again = self.by_name.get(node.name)
                if again is not None and self.plan.places[again.name].kind == "again":
                    yield from self.accesses(again)
                elif not (again is not None and self.plan.places[again.name].kind == "local"):
                    yield node.name, node.index
        if f.kind == "point" or (not f.reduces and self.in_memory(f)):
            yield f.name, f.index
        if f.kind == "point" and f.labels is not None:
            yield f.labels.name, f.labels.index

    def in_memory(self, f: Flat) -> bool:
        return self.plan.places[f.name].kind in ("result", "row", "array")

    def known(self, index: tuple[st.Index, ...]) -> bool:
        return all(i in self.path for slot in index for i in st.index_names(slot))

    def load_label(self, index: st.Index) -> None:
        if isinstance(index, st.Lookup) and index not in self.labels and self.known((index,)):
            for i in index.index:
                self.load_label(i)
            name = self.unused(f"{index.name}_{'_'.join(variable(i) for i in st.index_names(index))}" if index.index else index.name)
            self.emit(f"const int64_t {name} = {self.element(index.name, index.index)};")
            self.labels[index] = name

    def load(self, name: str, index: tuple[st.Index, ...]) -> None:
        integer = name in self.arguments and self.arguments[name].labels is not None
        if (name, index) in self.values or integer:
            return
        local = self.unused(f"{name}_{'_'.join(self.index(i) for i in index)}" if index else f"{name}_value")
        self.emit(f"const real {local} = {self.element(name, index)};")
        self.values[name, index] = local

    def point(self, name: str, lead: tuple[st.Index, ...]) -> None:
        if (name, lead) in self.rows:
            return
        base, own = self.stored(name)
        const = "const " if name in self.arguments else ""
        place = f"{base} + {self.offset(name, lead, own)}" if lead else base
        pointer = self.unused(f"{name}_{'_'.join(self.index(i) for i in lead)}" if lead else f"{name}_values")
        f = self.by_name.get(name)
        if f in self.streamed:
            place = f"streaming ? {name}_buffer : {place}"
        self.emit(f"{const}real *const {pointer} = {place};")
        self.rows[name, lead] = pointer

    def unused(self, name: str) -> str:
        taken = {*self.arguments, *self.by_name, *self.values.values(), *self.rows.values(), *self.labels.values()}
        taken |= self.spell.constants
        while name in taken:
            name += "_"
        return name

    # ---- statements ------------------------------------------------------------------------------------------------------

    def flat(self, f: Flat) -> None:
        if f.kind == "product":
            self.product(f)
        elif f.kind == "scatter":
            self.scatter(f)
        elif f.kind == "point":
            assert f.labels is not None
            target = next(i for i in f.index if i not in f.labels.index)
            index = tuple(f.labels if i == target else i for i in f.index)
            self.emit(f"{self.element(f.name, index)} -= {self.spell.show(f.body)};")
        elif f.reduces:
            self.accumulate(f)
        else:
            self.map(f)

    def local(self, f: Flat) -> str:
        """The variable of a computed value: its own name, unless that is what its memory is called here."""
        memory = self.in_memory(f) and f.name in re.findall(r"\w+", self.element(f.name, f.index))
        clash = memory or f.name in self.arguments
        return f"{f.name}_{'_'.join(map(variable, f.index))}" if clash and f.index else f"{f.name}_value" if clash else f.name

    def define(self, f: Flat) -> None:
        """Compute a value into a variable."""
        code = self.spell.show(f.body)
        local = self.local(f)
        self.emit(f"const real {local} = {code};")
        self.values[f.name, f.index] = local

    def map(self, f: Flat) -> None:
        if not self.in_memory(f):
            if self.plan.places[f.name].kind == "local":
                self.define(f)
            return
        element = self.element(f.name, f.index)
        if self.used_here(f):
            self.define(f)
            self.emit(f"{element} = {self.values[f.name, f.index]};")
        else:
            self.emit(f"{element} = {self.spell.show(f.body)};")

    body: tuple[Item, ...] = ()

    def used_here(self, f: Flat) -> bool:
        """Whether another statement of the body, or an inner loop, reads the value."""
        found = [g for g, _ in flats_in(self.body) if g is not f]
        return any(f.name in needs(g) for g in found)

    def accumulate(self, f: Flat) -> None:
        into = self.accumulators[f.name]
        code = self.spell.show(f.body)
        if f.kind in ("sum", "mean"):
            self.emit(f"{into} += {code};")
        elif f"{into}_is_nan" in self.accumulators.values():
            sign = ">" if f.kind == "max" else "<"
            self.emit(f"const real {f.name}_next = {code};")
            self.emit(f"{into} = {f.name}_next {sign} {into} ? {f.name}_next : {into};")
            self.emit(f"{into}_is_nan |= {f.name}_next != {f.name}_next;")
        else:
            helper = "larger" if f.kind == "max" else "smaller"
            self.spell.helpers[helper] = None
            self.emit(f"{into} = {helper}({into}, {code});")

    # ---- loops -----------------------------------------------------------------------------------------------------------

    def inner_loop(self, loop: Loop) -> None:
        """A loop inside a nest, with the reductions that begin and end at it."""
        ending = [f for f, path in flats_in(loop.body, (loop,)) if f.reduces and self.first_reduced(f, path) is loop]
        partial = [f for f, path in flats_in(loop.body, (loop,)) if f.reduces and self.suffix(f, path) is loop and f not in ending]
        for f in ending:
            self.begin(f, loop)
        for f in partial:
            self.begin_partial(f)
        outer = dict(self.accumulators)
        self.loop(loop, f"for (int64_t {variable(loop.axis)} = 0; {variable(loop.axis)} < {self.size(loop.axis)}; ++{variable(loop.axis)}) {{")
        self.accumulators = outer
        for f in partial:
            self.end_partial(f)
        for f in ending:
            self.end(f)

    def loop(self, loop: Loop, head: str) -> None:
        if loop.innermost:
            self.emit(self.simd(loop))
            self.emit(self.comment(loop))
        self.emit(head)
        kept, self.body = self.body, loop.body
        with self.scope(loop.axis):
            inner, self.spell.inner = self.spell.inner, loop.axis if loop.innermost else ""
            self.items(loop.body)
            self.spell.inner = inner
        self.body = kept
        self.emit("}")

    def items(self, body: tuple[Item, ...]) -> None:
        for item in body:
            self.prepare(item)
            if isinstance(item, Loop):
                self.inner_loop(item)
            else:
                self.flat(item)
        self.stream_out()

    def simd(self, loop: Loop) -> str:
        clauses: dict[str, list[str]] = {}
        for f in loop.body:
            assert isinstance(f, Flat)
            into = self.accumulators.get(f.name, "") if f.reduces else ""
            if into.isidentifier():
                clauses.setdefault({"max": "max", "min": "min"}.get(f.kind, "+"), []).append(into)
                if f"{into}_is_nan" in self.accumulators.values():
                    clauses.setdefault("|", []).append(f"{into}_is_nan")
        return "#pragma omp simd" + "".join(f" reduction({sign} : {', '.join(names)})" for sign, names in clauses.items())

    def first_reduced(self, f: Flat, path: tuple[Loop, ...]) -> Loop | None:
        """The outermost loop that a reduction runs over, if it is among ``path`` and not outside."""
        outside = [a for a in self.path if a in f.reduced]
        return None if outside else next((l for l in path if l.axis in f.reduced), None)

    def suffix(self, f: Flat, path: tuple[Loop, ...]) -> Loop | None:
        """The outermost of the innermost loops that are all reduced: what they add up is a single number."""
        found = None
        for l in reversed(path):
            if l.axis not in f.reduced:
                break
            found = l
        return found

    def begin(self, f: Flat, loop: Loop) -> None:
        dims = tuple(i for i in f.index if i not in self.path)
        if dims:
            self.fill(f, dims)
            return
        name = f"{self.local(f)}_sum" if f.kind == "mean" else self.local(f)
        self.emit(f"real {name} = {START[f.kind]};")
        self.accumulators[f.name] = name
        if f.kind in ("max", "min"):
            self.emit(f"int {name}_is_nan = 0;")
            self.accumulators[f"{f.name} is nan"] = f"{name}_is_nan"

    def fill(self, f: Flat, dims: tuple[str, ...]) -> None:
        """Start a reduction that has an element of memory for each of ``dims``."""
        element = self.element(f.name, f.index)
        for d in dims:
            self.emit(f"for (int64_t {variable(d)} = 0; {variable(d)} < {self.size(d)}; ++{variable(d)})")
        self.emit(f"{element} = {START[f.kind]};")
        self.accumulators[f.name] = element

    def end(self, f: Flat) -> None:
        into = self.accumulators.pop(f.name)
        dims = tuple(i for i in f.index if i not in self.path)
        if dims:
            if f.kind == "mean":
                for d in dims:
                    self.emit(f"for (int64_t {variable(d)} = 0; {variable(d)} < {self.size(d)}; ++{variable(d)})")
                self.emit(f"{into} /= (real)({self.count(f.reduced)});")
            return
        if self.accumulators.pop(f"{f.name} is nan", ""):
            self.emit(f"if ({into}_is_nan) {into} = NAN;")
        if f.kind == "mean":
            self.emit(f"const real {self.local(f)} = {into} / (real)({self.count(f.reduced)});")
        self.values[f.name, f.index] = self.local(f)
        if self.in_memory(f):
            self.emit(f"{self.element(f.name, f.index)} = {self.local(f)};")

    def begin_partial(self, f: Flat) -> None:
        name = f"{f.name}_partial"
        self.emit(f"real {name} = {START[f.kind]};")
        self.accumulators[f"{f.name} outside"] = self.accumulators[f.name]
        self.accumulators[f.name] = name
        if f.kind in ("max", "min"):
            self.emit(f"int {name}_is_nan = 0;")
            self.accumulators[f"{f.name} is nan"] = f"{name}_is_nan"

    def end_partial(self, f: Flat) -> None:
        name, into = self.accumulators[f.name], self.accumulators.pop(f"{f.name} outside")
        if self.accumulators.pop(f"{f.name} is nan", ""):
            self.emit(f"if ({name}_is_nan) {name} = NAN;")
        if f.kind in ("sum", "mean"):
            self.emit(f"{into} += {name};")
        else:
            helper = "larger" if f.kind == "max" else "smaller"
            self.spell.helpers[helper] = None
            self.emit(f"{into} = {helper}({into}, {name});")
        self.accumulators[f.name] = into

    # ---- nests -----------------------------------------------------------------------------------------------------------

    def nest(self, loop: Loop) -> None:
        if not self.wide(loop):
            self.inner_loop_at_top(loop)
            return
        chain = [loop]
        private = self.private(loop)
        while not private and len(chain[-1].body) == 1 and isinstance(chain[-1].body[0], Loop) and not chain[-1].body[0].innermost:
            if any(self.first_reduced(f, p) is chain[-1].body[0] for f, p in flats_in((chain[-1].body[0],))):
                break
            chain.append(chain[-1].body[0])
        self.streamed = self.streamable(chain)
        if loop.innermost:
            self.chunks(loop, private)
        else:
            self.row_loop(chain, private)
        self.streamed = ()
        for f in private:
            self.gather(f)

    def wide(self, loop: Loop) -> bool:
        """Whether a nest is worth threads: more than a loop over one axis of larger tensors."""
        return not loop.innermost or all(len(a.axes) < 2 for a in self.plan.program.arguments)

    def inner_loop_at_top(self, loop: Loop) -> None:
        self.prepare(loop)
        self.inner_loop(loop)

    def private(self, loop: Loop) -> list[Flat]:
        return [f for f, path in flats_in(loop.body, (loop,)) if f.reduces and self.first_reduced(f, path) is loop]

    def streamable(self, chain: list[Loop]) -> tuple[Flat, ...]:
        """The results that a nest writes along their last axis and does not read again: they may bypass the cache."""
        found = []
        sites = list(flats_in((chain[0],)))
        for f, path in sites:
            inside = [g for g, p in sites if g is not f and f.name in needs(g) and p != path and g.kind != "point"]
            along = path[-1].innermost and f.index and path[-1].axis == f.index[-1] and len(path) == len(f.index)
            if f.kind == "map" and self.plan.places[f.name].kind == "result" and along and not inside:
                found.append(f)
        return tuple(found)

    def total(self, f: Flat, dims: tuple[str, ...]) -> None:
        self.totals.append((f"{f.name}_totals", self.count(dims)))

    def row_loop(self, chain: list[Loop], private: list[Flat]) -> None:
        loop, last = chain[0], chain[-1]
        blocked = [f for f in private if f.index]
        for f in private:
            self.total(f, f.index)
        collapse = f" collapse({len(chain)})" if len(chain) > 1 else ""
        self.emit(f"#pragma omp parallel for num_threads(threads) schedule(static){collapse}")
        axis, size = variable(loop.axis), self.size(loop.axis)
        if blocked:
            self.emit(f"for (int64_t first = 0; first < {size}; first += block_rows({size}, threads)) {{")
            self.emit(f"const int64_t last = smallest(first + block_rows({size}, threads), {size});")
            self.helper("block_rows")
        else:
            for l in chain:
                self.emit(f"for (int64_t {variable(l.axis)} = 0; {variable(l.axis)} < {self.size(l.axis)}; ++{variable(l.axis)}) {{")
        kept = dict(self.accumulators)
        self.thread_memory(chain, private)
        if blocked:
            for f in blocked:
                self.emit(f"fill({f.name}_block, {self.count(f.index)}, {START[f.kind]});")
                self.helper("fill")
            self.emit(f"for (int64_t {axis} = first; {axis} < last; ++{axis}) {{")
        body, self.body = self.body, last.body
        with self.scope():
            self.path = tuple(l.axis for l in chain)
            self.items(last.body)
        self.body = body
        if blocked:
            self.emit("}")
            for f in blocked:
                kind = {"mean": "sum"}.get(f.kind, f.kind)
                self.emit(f"{kind}_block({f.name}_total, {f.name}_block, {self.count(f.index)});")
                self.helper(f"{kind}_block")
        self.accumulators = kept
        self.lines.extend("}" for _ in (chain if not blocked else [loop]))

    def thread_memory(self, chain: list[Loop], private: list[Flat]) -> None:
        rows = [f for f, _ in flats_in((chain[0],)) if self.plan.places[f.name].kind == "row"]
        rows = list({f.name: f for f in rows}.values())
        if not (private or rows or self.streamed):
            return
        self.emit("const int thread = thread_number();")
        self.helper("thread_number")
        for f in rows:
            self.thread_row(f"{f.name}_row", f"{f.name}_rows", self.count(self.plan.places[f.name].axes))
        for f in self.streamed:
            self.thread_row(f"{f.name}_buffer", f"{f.name}_buffers", self.size(f.index[-1]), "streaming")
        for f in private:
            self.emit(f"double *const {f.name}_total = {f.name}_totals + thread * padded({self.count(f.index)});")
            if f.index:
                self.thread_row(f"{f.name}_block", f"{f.name}_blocks", self.count(f.index))
                index = tuple(f.index)
                flat = " + ".join(
                    variable(i) if k == len(index) - 1 else f"{variable(i)} * {self.count(index[k + 1 :])}" for k, i in enumerate(index)
                )
                self.accumulators[f.name] = f"{f.name}_block[{flat}]"
            else:
                self.accumulators[f.name] = f"*{f.name}_total"
        if private:
            self.helper("padded")

    def thread_row(self, name: str, rows: str, count: str, unless: str = "") -> None:
        if all(m.name != rows for m in self.scratch):
            self.scratch.append(Memory(rows, count if not unless else f"({unless} ? {count} : 0)", True))
        self.emit(f"real *const {name} = {rows} + thread * padded({count});")
        self.helper("padded")

    def stream_out(self) -> None:
        """At the end of a row: bring what was written beside the result into it."""
        for f in self.streamed:
            if f.index[:-1] == self.path:
                self.streams = True
                self.helper("stream")
                base, _ = self.stored(f.name)
                place = f"{base} + {self.offset(f.name, f.index[:-1], f.index)}"
                self.emit(f"if (streaming) stream({place}, {f.name}_buffer, {self.size(f.index[-1])});")

    def chunks(self, loop: Loop, private: list[Flat]) -> None:
        """A nest of one loop: cut into chunks, so that threads share it and a chunk stays in the cache."""
        axis, size = variable(loop.axis), self.size(loop.axis)
        for f in private:
            self.total(f, ())
        self.helper("chunk")
        self.emit("#pragma omp parallel for num_threads(threads) schedule(static)")
        self.emit(f"for (int64_t first = 0; first < {size}; first += CHUNK) {{")
        self.emit(f"const int64_t count = smallest(CHUNK, {size} - first);")
        kept = dict(self.accumulators)
        if private:
            self.emit("const int thread = thread_number();")
            self.helper("thread_number")
            self.helper("padded")
        for f in private:
            self.emit(f"double *const {f.name}_total = {f.name}_totals + thread * padded(1);")
            self.accumulators[f.name] = f"*{f.name}_total"
            self.begin_partial(f)
        with self.scope():
            for f in self.streamed:
                self.emit(f"real {f.name}_buffer[CHUNK];")
            names = dict.fromkeys(n for f in loop.body if isinstance(f, Flat) for n, i in self.accesses(f) if i == (loop.axis,))
            for name in names:
                self.rows[name, ()] = self.unused(f"{name}_first")
                const = "const " if name in self.arguments else ""
                kind = "int64_t" if name in self.arguments and self.arguments[name].labels else "real"
                place = f"{self.stored(name)[0]} + first"
                if self.by_name.get(name) in self.streamed:
                    place = f"streaming ? {name}_buffer : {place}"
                self.emit(f"{const}{kind} *const {self.rows[name, ()]} = {place};")
            self.loop(loop, f"for (int64_t {axis} = 0; {axis} < count; ++{axis}) {{")
            for f in self.streamed:
                self.streams = True
                self.helper("stream")
                self.emit(f"if (streaming) stream({self.stored(f.name)[0]} + first, {f.name}_buffer, count);")
        for f in private:
            self.end_partial(f)
        self.accumulators = kept
        self.emit("}")

    def gather(self, f: Flat) -> None:
        """Bring the totals of all threads together."""
        kind = {"mean": "sum"}.get(f.kind, f.kind)
        self.helper(f"{kind}_threads")
        divisor = f"(double)({self.count(f.reduced)})" if f.kind == "mean" else "1"
        extra = f", {divisor}" if kind == "sum" else ""
        if f.index or self.plan.places[f.name].kind == "result":
            self.emit(f"{kind}_threads({self.stored(f.name)[0]}, {f.name}_totals, threads, {self.count(f.index)}{extra});")
        else:
            self.emit(f"real {f.name};")
            self.emit(f"{kind}_threads(&{f.name}, {f.name}_totals, threads, 1{extra});")
            self.values[f.name, ()] = f.name

    def helper(self, name: str) -> None:
        self.spell.helpers[name] = None

    # ---- opaque statements -----------------------------------------------------------------------------------------------

    def product(self, f: Flat) -> None:
        """A contraction as a matrix product for each element of the batch axes."""
        assert isinstance(f.body, st.Mul)
        left, right = f.body.args
        assert isinstance(left, st.Read) and isinstance(right, st.Read)
        roles = matrix_axes(left, right, f.index, f.reduced)
        assert roles is not None
        if roles.swapped:
            left, right = right, left
        self.helper("matmul")
        self.lines += ["", self.equation_comment([f])]
        for b in roles.batch:
            self.emit(f"for (int64_t {variable(b)} = 0; {variable(b)} < {self.size(b)}; ++{variable(b)}) {{")
        into, own = self.stored(f.name)
        operands = []
        for read, axes in ((left, (roles.rows, roles.inner)), (right, (roles.inner, roles.columns))):
            base, has = self.stored(read.name)
            strides = [self.group_stride(read.name, has, group, read.index) for group in axes]
            operands.append(f"{base}{self.shift(read.name, roles.batch, has)}, {strides[0]}, {strides[1]}")
        out = f"{into}{self.shift(f.name, roles.batch, own)}, {self.group_stride(f.name, own, roles.rows, f.index)}"
        sizes = ", ".join(self.count(g) for g in (roles.rows, roles.columns, roles.inner))
        self.emit(f"matmul({sizes}, {operands[0]}, {operands[1]}, {out}, threads);")
        self.lines.extend("}" for _ in roles.batch)

    def shift(self, name: str, batch: tuple[str, ...], own: tuple[str, ...]) -> str:
        return f" + {self.offset(name, batch, own)}" if batch else ""

    def group_stride(self, name: str, own: tuple[str, ...], group: tuple[str, ...], index: tuple[st.Index, ...]) -> str:
        """The stride of a group of adjacent indices of a read that a product takes as one."""
        return self.stride(name, own, index.index(group[-1])) if group else "0"

    def scatter(self, f: Flat) -> None:
        """A scatter-add: every thread owns a range of the target's rows, so that sums are in the same order always."""
        assert f.labels is not None
        target, rest = f.index[0], f.index[1:]
        into = self.stored(f.name)[0]
        self.helper("thread_number")
        self.lines += ["", self.equation_comment([f]), "#pragma omp parallel num_threads(threads)", "{"]
        size = self.size(target)
        self.emit(f"const int64_t first = {size} * thread_number() / threads, last = {size} * (thread_number() + 1) / threads;")
        row = self.count(rest)
        self.emit(f"memset({into} + first * {row}, 0, sizeof(real) * (size_t)((last - first) * {row}));")
        outer = f.loops[: len(f.loops) - len(rest)]
        with self.scope():
            for a in outer:
                self.emit(f"for (int64_t {variable(a)} = 0; {variable(a)} < {self.size(a)}; ++{variable(a)}) {{")
                self.path = (*self.path, a)
            self.load_label(f.labels)
            label = self.labels[f.labels]
            self.emit(f"if ({label} < first || {label} >= last) continue;")
            self.rows[f.name, (target, *rest[:-1])] = f"{into}_{label}"
            inner = Loop(rest[-1], (f,), ()) if rest else None
            self.emit(f"real *const {into}_{label} = {into} + {label} * {row};")
            for read in dict.fromkeys(self.accesses(f)):
                at = self.inside(*read)
                if read[0] != f.name and len(at) > 1 and self.known(at[:-1]):
                    self.point(read[0], at[:-1])
            flat = " + ".join(
                variable(i) if k == len(rest) - 1 else f"{variable(i)} * {self.count(rest[k + 1 :])}" for k, i in enumerate(rest)
            )
            if inner is not None:
                for a in rest[:-1]:
                    self.emit(f"for (int64_t {variable(a)} = 0; {variable(a)} < {self.size(a)}; ++{variable(a)})")
                self.emit("#pragma omp simd")
                self.emit(f"for (int64_t {variable(rest[-1])} = 0; {variable(rest[-1])} < {self.size(rest[-1])}; ++{variable(rest[-1])})")
            self.path = f.loops
            self.emit(f"{into}_{label}[{flat or '0'}] += {self.spell.show(f.body)};")
            self.lines.extend("}" for _ in outer)
        self.emit("}")

    # ---- comments --------------------------------------------------------------------------------------------------------

    def comment(self, loop: Loop) -> str:
        return self.equation_comment([f for f in loop.body if isinstance(f, Flat)])

    def equation_comment(self, flats: list[Flat]) -> str:
        corrected = {f.name for f in self.flats if f.kind == "point"}
        shown = dict.fromkeys(f"{named(f.name, f.index)} = {described(f, f.name in corrected)}" for f in flats)
        return f"/* {'; '.join(shown)} */"


def variable(index: str) -> str:
    """The loop variable of an index."""
    axis = st.axis_of(index)
    primes = len(index) - len(axis)
    return f"{axis}{primes + 1}" if primes else axis


def named(name: str, index: tuple[str, ...]) -> str:
    return f"{name}[{', '.join(map(variable, index))}]" if index else name


def described(f: Flat, whole: bool = False) -> str:
    """The right side as the language has it; that of the equation itself where the statement is part of it only."""
    if whole or f.kind == "scatter":
        return language(f.equation.tree)
    return language(f.body if f.kind == "map" else st.Reduce("sum" if f.opaque else f.kind, f.reduced, f.body))


def argument_strides(a: Argument) -> bool:
    """Whether a kernel takes strides for an argument: for floating-point ones of two axes or more."""
    return a.labels is None and len(a.axes) > 1
