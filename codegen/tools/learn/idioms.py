"""The parts of a gradient's formula that need an idiom, each with its code in one array library."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from codegen.axes import merge, natural_order
from codegen.backends.arrays.discovery import arrays
from codegen.chain import Chain, Printed
from codegen.program import Role, Statement
from codegen.recognise.contraction import Contraction
from codegen.recognise.scatter import Scatter
from codegen.tools.learn.shapes import listed
from codegen.tools.learn.told import slots, told
from codegen.tools.workbook import Blank, Exercise
from derive import derive_full
from derive import syntax as st

__all__ = ["Idiom", "idioms"]


@dataclass(frozen=True)
class Idiom:
    """A part of a formula, its code, and why it is written so."""

    formula: str
    code: tuple[str, ...]
    why: str = ""


def idioms(exercise: Exercise, blank: Blank) -> tuple[Idiom, ...]:
    """The idioms of a gradient's lines, the whole line where no part of it needs one; and the lengths that the code reads."""
    speller = _Speller(exercise, blank)
    found = [i for line in blank.lines for i in speller.of(line.rhs, line)]
    if not found:
        found = [speller.whole(blank.lines[-1])]
    lengths = [Idiom("", (line,)) for line in blank.source.prologue if " = " in line and ".shape" in line]
    found += [Idiom(f"labels that are looked up, in {n}", (line,)) for n, line in speller.safe.items()]
    lengths = [Idiom(_sizes(i.code[0]), i.code) for i in lengths]
    return tuple(dict.fromkeys([*found, *lengths]))


class _Speller:
    def __init__(self, exercise: Exercise, blank: Blank):
        self.blank = blank
        self.chain = Chain(derive_full(exercise.op), arrays(exercise.backend), plain=True)
        op, self.packing = exercise.op, exercise.op.packing
        #: All names that code may read, the gradient's own first: arrays that are made are like the first that fits.
        self.names = [blank.of, *(t.name for t in op.inputs), *(e.name for e in op.equations)]
        #: The lines that make labels safe to look up, by the names that these then have.
        self.safe: dict[str, str] = {}
        self.names += [*(st.adjoint_name(t.name) for t in op.outputs), *(b.name for b in exercise.blanks)]

    def of(self, tree: st.Tree, line: st.Equation) -> Iterator[Idiom]:
        """The idioms of a part of a line, in the order of reading. The parts of an idiom are not told again."""
        match tree:
            case st.Reduce():
                yield self.reduction(tree, line)
                return
            case st.Indicator(st.Match(left, right)):
                yield from self.labelled(left, right)
                yield Idiom(self.told(tree), self.code(tree, _order(tree, line)))
                return
            case st.Indicator() | st.Call("where"):
                yield Idiom(self.told(tree), self.code(tree, _order(tree, line)))
                return
        if isinstance(tree, st.Mul | st.Add):
            for read in (c for c in st.children(tree) if isinstance(c, st.Read)):
                yield from self.aligned(read, _order(tree, line))
        for child in st.children(tree):
            yield from self.of(child, line)

    def whole(self, line: st.Equation) -> Idiom:
        return Idiom(self.told(line.rhs), self.code(line.rhs, line.index))

    def reduction(self, tree: st.Reduce, line: st.Equation) -> Idiom:
        scatter = Scatter.of(tree)
        if scatter is not None and line.rhs == tree:
            rows = next(n.name for n in st.walk(scatter.terms) if isinstance(n, st.Read))
            why = (
                f"{line.name}[{scatter.labels.name}] += {rows} would not do: of entries with one label, it would add only one."
            )
            return Idiom(self.told(tree), self.statement(tree, line.index, line.name), why)
        return Idiom(self.told(tree), self.code(tree, _order(tree, line)), self.why(tree))

    def labelled(self, left: st.Index, right: st.Index) -> Iterator[Idiom]:
        """How the entries that labels choose are written, where each row has one."""
        axis, lookup = (right, left) if isinstance(left, st.Lookup) else (left, right)
        if isinstance(axis, str) and isinstance(lookup, st.Lookup) and axis in self.blank.index:
            read = st.Read(self.blank.of, tuple(lookup if i == axis else i for i in self.blank.index))
            rows = tuple(i for i in self.blank.index if i != axis)
            here = self.told(st.Indicator(st.Match(left, right)))
            zeros = f"{self.blank.name} is 0 but for these entries: write into zeros like {self.blank.of}."
            why = f"{zeros} {here} is the same as a mask."
            yield Idiom(self.told(read), self.code(read, rows), why)

    def aligned(self, read: st.Read, order: tuple[str, ...]) -> Iterator[Idiom]:
        """A factor that lacks an axis behind one of its own: it gets an axis of length 1 there."""
        if not all(isinstance(i, str) for i in read.index):
            return
        printed = self.part(read)
        code = printed.printer.fit(printed.value(read, order), order).code
        if code != read.name:
            missing = listed(i for i in order if i not in read.index)
            why = f"None makes an axis of length 1 for {missing}, and the entries repeat along it."
            yield Idiom(self.told(read), (code,), why)

    def told(self, tree: st.Tree) -> str:
        return told(tree, self.packing)

    def why(self, tree: st.Reduce) -> str:
        """Which axis of the code a sum runs over."""
        if self.is_matrix_product(tree):
            return f"a @ b sums over the last axis of a and the last but one of b: here both are {listed(tree.index)}."
        reads = [n for n in st.walk(tree.body) if isinstance(n, st.Read)]
        if any(self.packing.packs(r.name) for r in reads):
            return ""
        body = natural_order(tree.body, ())
        places = [f"{i} is axis {body.index(i)}" for i in tree.index if i in body]
        return f"{listed(places)} of [{', '.join(body)}]." if places else ""

    def is_matrix_product(self, tree: st.Reduce) -> bool:
        """Whether a sum is over one axis of two arrays, each of which has one axis that the other lacks."""
        found = Contraction.of(tree)
        if found is None or not isinstance(found.left, st.Read) or not isinstance(found.right, st.Read):
            return False
        left, right = (set(slots(r, self.packing)) for r in (found.left, found.right))
        return len(tree.index) == len(left - right) == len(right - left) == 1

    def code(self, tree: st.Tree, index: tuple[str, ...]) -> tuple[str, ...]:
        """An expression as one expression; as statements where that would be none of the axes ``index``.

        A whole line with packed axes is spelled as in the solution, where the result has the packed axes too.
        """
        last, source = self.blank.lines[-1], self.blank.source
        if tree == last.rhs and any(self.packing.packs(n) for n in (last.name, *st.reads(tree))):
            return (*source.body, source.returned)
        value = self.part(tree).value(tree, index)
        return (value.code,) if value.axes == index else self.statement(tree, index, self.blank.name)

    def statement(self, tree: st.Tree, index: tuple[str, ...], name: str) -> tuple[str, ...]:
        return self.printed(Statement(name, index, tree, Role.OUTPUT)).body

    def part(self, tree: st.Tree) -> Printed:
        return self.printed(Statement("_", st.free_indices(tree), tree, Role.OUTPUT))

    def printed(self, statement: Statement) -> Printed:
        read = [n for n in dict.fromkeys(st.reads(statement.tree)) if n in self.names]
        found = self.chain.printed(statement.name, [statement], list(dict.fromkeys([*read, *self.names])))
        self.safe |= {line.partition(" = ")[0]: line for line in found.safe}
        return found


def _sizes(line: str) -> str:
    """The lengths that ``n, u = x.shape`` gives names to."""
    return ", ".join(f"size({axis})" for axis in line.partition(" = ")[0].split(", "))


def _order(tree: st.Tree, line: st.Equation) -> tuple[str, ...]:
    """The free indices of a part of a line in the order of the line."""
    free = st.free_indices(tree)
    return tuple(i for i in merge([line.index, natural_order(tree, line.index)]) if i in free)
