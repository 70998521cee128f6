"""C's spelling of single statements: values, what a reduction adds up, matrix products, scatter-adds, and their comments."""

from __future__ import annotations

from typing import assert_never

from codegen.backends.native.elements import CElements, Indices
from codegen.loops.assignment import Assignment, Elementwise, EntryUpdate, Fold, MatrixProduct, Reduction, ScatterAdd
from codegen.loops.loop import Item, Loop, assignments_in
from codegen.loops.storage import Recomputed, Variable
from derive import syntax as st
from derive.language.unicode import language


class CStatements(CElements):
    """Prints what stands inside the loops."""

    #: The body around the statement being printed.
    body: tuple[Item, ...] = ()

    def flat(self, f: Assignment) -> None:
        """Print one statement."""
        match f.kind:
            case MatrixProduct():
                self.product(f, f.kind)
            case ScatterAdd():
                self.scatter(f, f.kind)
            case EntryUpdate():
                self.correct(f, f.kind)
            case Reduction():
                self.accumulate(f, f.kind.fold)
            case Elementwise():
                self.map(f)
            case _:
                assert_never(f.kind)

    # ---- values ------------------------------------------------------------------------------------------------------

    def local(self, f: Assignment) -> str:
        """The variable of a computed value: its own name, unless its memory or an argument is called that here."""
        in_use = self.in_memory(f) and self.pointer(f) == self.names.tensor(f.name)
        return self.at(f.name, f.index, "value") if in_use or f.name in self.arguments else self.names.tensor(f.name)

    def pointer(self, f: Assignment) -> str:
        """What the element of a value is reached by: the pointer to its chunk or row, if one is known, or to its memory."""
        at = self.inside(f.name, f.index)
        row = self.rows.get((f.name, at[:-1])) if at else None
        return self.in_chunk.get(f.name) or row or self.stored(f.name)[0]

    def define(self, f: Assignment) -> None:
        number = f.name in self.spell.constants
        code = self.spell.numbers.double(f.body) if number else self.spell.show(f.body)
        local = self.local(f)
        self.emit(f"const {'double' if number else 'real'} {local} = {code};")
        self.values[f.name, f.index] = local

    def map(self, f: Assignment) -> None:
        place = self.plan.storage[f.name]
        if isinstance(place, Variable):
            self.define(f)
        elif not isinstance(place, Recomputed):
            element = self.element(f.name, f.index)
            if self.used_here(f):
                self.define(f)
                self.emit(f"{element} = {self.values[f.name, f.index]};")
            else:
                self.emit(f"{element} = {self.spell.show(f.body)};")

    def used_here(self, f: Assignment) -> bool:
        """Whether another statement of the body, or an inner loop, reads the value."""
        return any(f.name in g.needs for g, _ in assignments_in(self.body) if g is not f)

    def correct(self, f: Assignment, kind: EntryUpdate) -> None:
        """Take the value away from the one entry that the labels name, or put it there."""
        target = next(i for i in f.index if i not in kind.labels.index)
        index = tuple(kind.labels if i == target else i for i in f.index)
        self.emit(f"{self.element(f.name, index)} {'=' if kind.replaces else '-='} {self.spell.show(f.body)};")

    def accumulate(self, f: Assignment, fold: Fold) -> None:
        """Take one more term into a reduction."""
        into, code = self.accumulators[f.name], self.spell.show(f.body)
        if f"{f.name} rest" in self.accumulators:
            self.add_exactly(f, into, code)
        elif fold.adds:
            self.emit(f"{into} += {code};")
        elif f"{f.name} is nan" in self.accumulators:
            sign, term = ">" if fold is Fold.MAX else "<", self.names.part(f.name, "term")
            self.emit(f"const real {term} = {code};")
            self.emit(f"{into} = {term} {sign} {into} ? {term} : {into};")
            self.emit(f"{self.accumulators[f'{f.name} is nan']} |= {term} != {term};")
        else:
            self.emit(f"{into} = {self.extreme(fold)}({into}, {code});")

    def add_exactly(self, f: Assignment, into: str, code: str) -> None:
        """Add a term, and what rounding takes from the sum to the rest of it. Source: Knuth, TAOCP volume 2, section 4.2.2."""
        term, next_, back = (self.names.part(f.name, kind) for kind in ("term", "next", "back"))
        self.emit(f"const real {term} = {code}, {next_} = {into} + {term}, {back} = {next_} - {into};")
        self.emit(f"{self.accumulators[f'{f.name} rest']} += ({into} - ({next_} - {back})) + ({term} - {back});")
        self.emit(f"{into} = {next_};")

    def extreme(self, fold: Fold) -> str:
        name = "larger" if fold is Fold.MAX else "smaller"
        self.helper(name)
        return name

    # ---- matrix products -----------------------------------------------------------------------------------------------

    def product(self, f: Assignment, kind: MatrixProduct) -> None:
        """A contraction as a matrix product for each element of the batch axes."""
        left, right, roles = kind.left, kind.right, kind.axes
        if roles.swapped:
            left, right = right, left
        self.helper("matmul")
        loops = [b for b in roles.batch if b not in self.path]
        self.lines += ["", self.equations([f]), *(f"{self.head(b)} {{" for b in loops)]
        operands = [
            self.operand(left.name, left.index, roles.batch, (roles.rows, roles.inner)),
            self.operand(right.name, right.index, roles.batch, (roles.inner, roles.columns)),
            self.operand(f.name, f.index, roles.batch, (roles.rows,)),
        ]
        sizes = ", ".join(self.count(g) for g in (roles.rows, roles.columns, roles.inner))
        self.emit(f"matmul({sizes}, {', '.join(operands)});")
        self.lines.extend("}" for _ in loops)

    def operand(self, name: str, index: Indices, batch: tuple[str, ...], groups: tuple[tuple[str, ...], ...]) -> str:
        """A pointer and the strides of groups of adjacent indices that a product takes as one each."""
        base, own = self.stored(name)
        at = self.inside(name, index)
        lead = tuple(i for i in at if i in batch)
        strides = [self.stride(name, own, at.index(g[-1])) if g else "0" for g in groups]
        return ", ".join([f"{base} + {self.offset(name, lead, own)}" if lead else base, *strides])

    # ---- scatter-adds ----------------------------------------------------------------------------------------------------

    def scatter(self, f: Assignment, kind: ScatterAdd) -> None:
        """A scatter-add: every thread owns a range of the target's rows, so that sums are in the same order always."""
        target, rest = f.index[0], f.index[1:]
        into, size, width = self.stored(f.name)[0], self.size(target), self.factor(rest)
        self.helper("thread_number")
        self.lines += ["", self.equations([f]), "#pragma omp parallel num_threads(threads)", "{"]
        self.helper("team_size")
        self.emit(f"const int64_t first = {size} * thread_number() / team_size();")
        self.emit(f"const int64_t last = {size} * (thread_number() + 1) / team_size();")
        self.emit(f"memset({into} + first * {width}, 0, sizeof(real) * (size_t)((last - first) * {width}));")
        outer = f.loops[: len(f.loops) - len(rest)]
        with self.scope(*outer):
            self.lines += [f"{self.head(a)} {{" for a in outer]
            self.load_label(kind.labels)
            label = self.labels[kind.labels]
            self.emit(f"if ({label} < first || {label} >= last) continue;")
            row = self.at(f.name, (kind.labels,), "row of the target")
            self.emit(f"real *const {row} = {into} + {label} * {width};")
            self.add_row(f, row, rest)
            self.lines.extend("}" for _ in outer)
        self.emit("}")

    def add_row(self, f: Assignment, row: str, axes: tuple[str, ...]) -> None:
        """Add one row of terms to the row that its label names."""
        for name, index in dict.fromkeys(self.accesses(f)):
            at = self.inside(name, index)
            if name != f.name and len(at) > 1 and self.known(at[:-1]):
                self.point(name, at[:-1])
        self.lines += [self.head(a) for a in axes[:-1]]
        if axes:
            self.lines += ["#pragma omp simd", self.head(axes[-1])]
        with self.scope(*axes):
            self.emit(f"{row}[{self.flat_index(axes)}] += {self.spell.show(f.body)};")

    # ---- comments --------------------------------------------------------------------------------------------------------

    def comment(self, loop: Loop) -> str:
        return self.equations([f for f in loop.body if isinstance(f, Assignment)])

    def equations(self, flats: list[Assignment]) -> str:
        """A comment with what the statements compute."""
        corrected = {f.name for f in self.assignments if f.updates}
        shown = dict.fromkeys(f"{_named(f)} = {_described(f, f.name in corrected)}" for f in flats)
        return f"/* {'; '.join(shown)} */"


def _named(f: Assignment) -> str:
    return f"{f.name}[{', '.join(map(_written, f.index))}]" if f.index else f.name


def _written(index: str) -> str:
    """An index as :func:`language` writes it: ``n2`` for a second one of axis ``n``."""
    axis = st.axis_of(index)
    return axis if axis == index else f"{axis}{len(index) - len(axis) + 1}"


def _described(f: Assignment, whole: bool) -> str:
    """The right side as the language has it; that of the equation itself where the statement is part of it only."""
    if whole:
        return language(f.equation.tree)
    match f.kind:
        case ScatterAdd():
            return language(f.equation.tree)
        case MatrixProduct():
            return language(st.Reduce("sum", f.kind.over, f.body))
        case Reduction(fold, over):
            return language(st.Reduce(fold.value, over, f.body))
        case Elementwise() | EntryUpdate():
            return language(f.body)
    assert_never(f.kind)
