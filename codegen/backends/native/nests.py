"""C's spelling of a schedule: its nests, each spread over threads, as lines that the formatter indents.

Threads share the rows of a nest. Sums over the rows go to a block of each thread in working precision, at most 32 rows long,
and from there to a total in double precision; the totals of the threads are added in their order, so that a result is the
same from run to run. Results larger than the cache are written past it: a row is computed beside its place and copied there.
"""

from __future__ import annotations

from dataclasses import dataclass

from codegen.backends.native.loops import START, CLoops, folded
from codegen.backends.native.names import Names
from codegen.loops.assignment import Assignment, Elementwise, Fold, fold_of
from codegen.loops.loop import Item, Loop, assignments_in
from codegen.loops.schedule import Schedule
from codegen.loops.storage import Array, Result, Row
from codegen.program import Argument

#: So many results of a nest bypass the cache at most: a core combines the writes to few lines at a time, and each result has a
#: buffer, for a chunk on the stack.
MOST_STREAMED = 8


@dataclass(frozen=True)
class Memory:
    """A piece of the call's scratch memory that every thread has one of; ``count`` is its length in C."""

    name: str
    count: str


class CBody(CLoops):
    """Prints the body of one function; collects the scratch memory that it needs."""

    def __init__(
        self, plan: Schedule, root: dict[str, str], taken: tuple[Argument, ...], strided: frozenset[str], names: Names
    ):
        super().__init__(plan, root, taken, strided, names)
        self.scratch: list[Memory] = []
        self.totals: list[tuple[str, str]] = []
        self.streams = False

    def printed(self) -> list[str]:
        """The lines."""
        if not self.plan.batch:
            self.nests(self.plan.body)
            return self.lines
        (loop,) = self.plan.body
        assert isinstance(loop, Loop)
        self.helper("thread_number")
        self.lines += ["", "#pragma omp parallel for num_threads(batch_threads) schedule(static)", f"{self.head(loop.axis)} {{"]
        start = len(self.lines)
        for name, place in self.plan.storage.items():
            if isinstance(place, Array) and not place.over:
                parts, count = self.names.part(name, "parts"), self.count(place.axes)
                self.emit(f"real *const {self.names.tensor(name)} = {parts} + batch_thread * padded({count});")
        with self.scope(loop.axis):
            self.nests(loop.body)
        if any("batch_thread " in line for line in self.lines[start:]):
            self.lines.insert(start, "const int batch_thread = thread_number();")
        self.emit("}")
        return self.lines

    def nests(self, body: tuple[Item, ...]) -> None:
        for item in body:
            if not isinstance(item, Loop):
                self.prepare(item)
                self.flat(item)
                continue
            self.emit("")
            if self.worth_threads(item):
                self.nest(item)
            else:
                self.prepare(item)
                self.inner_loop(item)

    def worth_threads(self, loop: Loop) -> bool:
        """Whether a nest is more than a loop over one axis of larger tensors."""
        return not loop.innermost or (not self.path and all(len(a.axes) < 2 for a in self.plan.program.arguments))

    def nest(self, loop: Loop) -> None:
        private = [f for f, path in assignments_in(loop.body, (loop,)) if fold_of(f) and self.first_reduced(f, path) is loop]
        chain = [loop] if private else self.chain(loop)
        self.streamed = self.streamable(loop)
        if loop.innermost:
            self.chunks(loop, private)
        else:
            self.row_loop(chain, private)
        self.streamed = ()
        for f in private:
            self.gather(f)

    def chain(self, loop: Loop) -> list[Loop]:
        """The outer loops with nothing between them, which threads share as one."""
        chain = [loop]
        while len(chain[-1].body) == 1:
            inner = chain[-1].body[0]
            if not isinstance(inner, Loop) or inner.innermost:
                break
            if any(self.first_reduced(f, path) is inner for f, path in assignments_in((inner,))):
                break
            chain.append(inner)
        return chain

    def streamable(self, loop: Loop) -> tuple[Assignment, ...]:
        """The results that a nest writes along their last axis and does not read again may bypass the cache if they are few."""
        sites = list(assignments_in((loop,)))
        found = []
        for f, path in sites:
            read_again = any(f.name in g.needs and p != path and not g.updates for g, p in sites if g is not f)
            along = path[-1].innermost and (*self.path, *(loop.axis for loop in path)) == f.index
            if isinstance(f.kind, Elementwise) and isinstance(self.plan.storage[f.name], Result) and along and not read_again:
                found.append(f)
        return tuple(found) if len(found) <= MOST_STREAMED else ()

    # ---- rows ----------------------------------------------------------------------------------------------------------

    def row_loop(self, chain: list[Loop], private: list[Assignment]) -> None:
        """The rows of a nest; in blocks, where they are added up."""
        blocked = [f for f in private if f.index]
        self.totals += [(self.names.part(f.name, "totals"), self.count(f.index)) for f in private]
        kept = dict(self.accumulators)
        collapse = f" collapse({len(chain)})" if len(chain) > 1 else ""
        self.emit(f"#pragma omp parallel for num_threads(threads) schedule(static){collapse}")
        if blocked:
            self.begin_blocks(chain[0], blocked, private)
        else:
            self.lines += [f"{self.head(loop.axis)} {{" for loop in chain]
            self.thread_memory(chain[0], private)
        body, self.body = self.body, chain[-1].body
        with self.scope(*(loop.axis for loop in chain)):
            self.items(chain[-1].body)
        self.body = body
        if blocked:
            self.end_blocks(blocked)
        else:
            self.lines += ["}" for _ in chain]
        self.accumulators = kept

    def begin_blocks(self, loop: Loop, blocked: list[Assignment], private: list[Assignment]) -> None:
        axis, size = self.names.index(loop.axis), self.size(loop.axis)
        self.helper("block_rows")
        self.helper("fill")
        self.emit(f"for (int64_t first = 0; first < {size}; first += block_rows({size}, threads)) {{")
        self.emit(f"const int64_t last = smallest(first + block_rows({size}, threads), {size});")
        self.thread_memory(loop, private)
        for f in blocked:
            self.emit(f"fill({self.names.part(f.name, 'block')}, {self.count(f.index)}, {START[folded(f)]});")
        self.emit(f"for (int64_t {axis} = first; {axis} < last; ++{axis}) {{")

    def end_blocks(self, blocked: list[Assignment]) -> None:
        self.emit("}")
        for f in blocked:
            self.helper(f"{_combined(f)}_block")
            total, block = self.names.part(f.name, "total"), self.names.part(f.name, "block")
            self.emit(f"{_combined(f)}_block({total}, {block}, {self.count(f.index)});")
        self.emit("}")

    def thread_memory(self, loop: Loop, private: list[Assignment]) -> None:
        """Point to what the thread has of its own."""
        stored = {f.name: (f, self.plan.storage[f.name]) for f, _ in assignments_in((loop,))}
        rows = [(f, place.axes) for f, place in stored.values() if isinstance(place, Row)]
        if not (private or rows or self.streamed):
            return
        self.emit(f"const int thread = {'batch_thread + ' if self.plan.batch else ''}thread_number();")
        self.helper("thread_number")
        self.helper("padded")
        for f, axes in rows:
            self.thread_row(f, "row", self.count(axes))
        for f in self.streamed:
            self.thread_row(f, "buffer", f"streaming ? {self.size(f.index[-1])} : 0")
        for f in private:
            self.thread_total(f, self.count(f.index))
            if f.index:
                block = self.thread_row(f, "block", self.count(f.index))
                self.accumulators[f.name] = f"{block}[{self.flat_index(f.index)}]"

    def thread_total(self, f: Assignment, count: str) -> None:
        """Point to the thread's total of a sum over the rows, which takes what is added up."""
        total, totals = self.names.part(f.name, "total"), self.names.part(f.name, "totals")
        self.emit(f"double *const {total} = {totals} + thread * padded({count});")
        self.accumulators[f.name] = f"*{total}"

    def thread_row(self, f: Assignment, kind: str, count: str) -> str:
        """Point to the thread's row, buffer or block of a value; its name."""
        name, rows = self.names.part(f.name, kind), self.names.part(f.name, f"{kind}s")
        if all(m.name != rows for m in self.scratch):
            self.scratch.append(Memory(rows, count))
        self.emit(f"real *const {name} = {rows} + thread * padded({count});")
        return name

    def end_of_row(self) -> None:
        """Bring what was written beside the results into them."""
        for f in self.streamed:
            if f.index[:-1] == self.path and len(f.index) > 1 and any(g is f for g, _ in assignments_in(self.body)):
                place = f"{self.stored(f.name)[0]} + {self.offset(f.name, f.index[:-1], f.index)}"
                self.stream(f, place, self.size(f.index[-1]))

    def stream(self, f: Assignment, place: str, count: str) -> None:
        self.streams = True
        self.helper("stream")
        self.emit(f"if (streaming) stream({place}, {self.names.part(f.name, 'buffer')}, {count});")

    # ---- a single loop ---------------------------------------------------------------------------------------------------

    def chunks(self, loop: Loop, private: list[Assignment]) -> None:
        """A nest of one loop: cut into chunks, so that threads share it and a chunk stays in the cache."""
        size, kept = self.size(loop.axis), dict(self.accumulators)
        self.totals += [(self.names.part(f.name, "totals"), "1") for f in private]
        self.helper("chunk")
        self.emit("#pragma omp parallel for num_threads(threads) schedule(static)")
        self.emit(f"for (int64_t first = 0; first < {size}; first += CHUNK) {{")
        self.emit(f"const int64_t count = smallest(CHUNK, {size} - first);")
        if private:
            self.helper("thread_number")
            self.helper("padded")
            self.emit("const int thread = thread_number();")
        for f in private:
            self.thread_total(f, "1")
            self.begin_partial(f)
        self.chunk = loop.axis
        self.point_to_chunks(loop)
        self.loop(loop, f"{self.head(loop.axis, 'count')} {{")
        self.chunk, self.in_chunk = "", {}
        for f in self.streamed:
            self.stream(f, f"{self.stored(f.name)[0]} + first", "count")
        for f in private:
            self.end_partial(f)
        self.accumulators = kept
        self.emit("}")

    def point_to_chunks(self, loop: Loop) -> None:
        """Pointers to the chunk of everything that a loop runs along."""
        self.lines += [f"real {self.names.part(f.name, 'buffer')}[CHUNK];" for f in self.streamed]
        along = (
            access for f in loop.body if isinstance(f, Assignment) for access in self.accesses(f) if access[1] == (loop.axis,)
        )
        for name, _ in dict.fromkeys(along):
            self.in_chunk[name] = self.declare(name, self.names.part(name, "first"), f"{self.stored(name)[0]} + first")

    # ---- totals ----------------------------------------------------------------------------------------------------------

    def gather(self, f: Assignment) -> None:
        """Bring the totals of all threads together."""
        kind = _combined(f)
        self.helper(f"{kind}_threads")
        divisor = f", {self.counted(f) if fold_of(f) is Fold.MEAN else '1'}" if kind == "sum" else ""
        if f.index or isinstance(self.plan.storage[f.name], Result):
            place = self.stored(f.name)[0]
        else:
            value = self.values[f.name, ()] = self.names.tensor(f.name)
            self.emit(f"real {value};")
            place = f"&{value}"
        totals = self.names.part(f.name, "totals")
        self.emit(f"{kind}_threads({place}, {totals}, threads, {self.count(f.index)}{divisor});")


def _combined(f: Assignment) -> str:
    """How parts of a reduction are brought together."""
    return "sum" if folded(f).adds else folded(f).value
