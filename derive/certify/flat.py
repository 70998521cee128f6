"""The values of flat terms at a point. A name is evaluated by its definition, once, when it is first read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any, Protocol

from derive.certify.arrays import Array, Frame, pick, rows
from derive.certify.numbers import Numbers
from derive.functions.words import PLACES
from derive.language.assumptions import HOLDS
from derive.terms.sums import (
    Argument,
    Atom,
    Condition,
    Delta,
    Exponent,
    Extremum,
    Form,
    Function,
    Hole,
    Index,
    Irrational,
    Mono,
    Read,
    Size,
    Sum,
    leaves,
    open_mono,
    slots,
    sum_reads,
)

__all__ = ["Values"]


class Bound(Protocol):
    """A name with its index and body: a definition or a line."""

    @property
    def name(self) -> str: ...
    @property
    def index(self) -> tuple[str, ...]: ...
    @property
    def body(self) -> Sum: ...


class Values:
    """The values of flat expressions.

    ``tables`` are the elements of the given tensors, and ``axes`` their axes. ``labels`` are the integer tensors, as positions.
    """

    def __init__(
        self,
        frame: Frame,
        numbers: Numbers,
        axes: Mapping[str, tuple[str, ...]],
        tables: Mapping[str, list[Any]],
        definitions: Iterable[Bound],
        labels: Mapping[str, list[int]] = {},
    ):
        self.frame, self.numbers, self.labels = frame, numbers, labels
        self.definitions = {d.name: d for d in definitions}
        self.axes = {**axes, **{d.name: d.index for d in self.definitions.values()}}
        self.tables = dict(tables)
        self.terms: dict[Mono, Array] = {}
        self.sums: dict[tuple[Sum, tuple[str, ...]], list[Any]] = {}

    def table(self, name: str) -> list[Any]:
        """The elements of a named tensor (KeyError if nothing defines it)."""
        waiting = [] if name in self.tables else [name]
        while waiting:  # no recursion: a chain of definitions may be long
            d = self.definitions[waiting[-1]]
            todo = next((n for n in sorted(sum_reads(d.body)) if n not in self.tables and n in self.definitions), None)
            if todo is None:
                self.tables[d.name] = self.sum(d.body, d.index)
                waiting.pop()
            elif todo in waiting:
                raise KeyError(f"{todo} but itself")
            else:
                waiting.append(todo)
        return self.tables[name]

    def replaced(self, body: Sum, name: str, table: list[Any], numbers: Numbers) -> Values:
        """Values for evaluating ``body`` in other numbers, with another table for one name. All other names keep theirs."""
        held = {n: self.table(n) for n in sum_reads(body)}
        return Values(self.frame, numbers, self.axes, {**held, name: table}, (), self.labels)

    def magnitudes(self) -> Values:
        """Values of the same names in which every term of an expression counts by its absolute value, also inside sums."""
        return Magnitudes(self)

    # ---- sums ------------------------------------------------------------------------------------------------------

    def sum(self, body: Sum, index: tuple[str, ...]) -> list[Any]:
        """The expression at every position of ``index`` (KeyError for a free index that is not in ``index``)."""
        key = (body, index)
        if key not in self.sums:
            numbers, out = self.numbers, None
            for mono, coefficient in body.terms.items():
                part = self.frame.spread(self.term(mono), index)
                if coefficient != 1:
                    part = numbers.scaled(part, numbers.number(coefficient))
                out = part if out is None else numbers.plus(out, part)
            self.sums[key] = [numbers.zero] * self.frame.count(index) if out is None else out
        return self.sums[key]

    def term(self, mono: Mono) -> Array:
        """A monomial, summed over one bound index after the other. The index with the smallest product of factors is first."""
        if mono not in self.terms:
            self.terms[mono] = self.contracted(mono)
        return self.terms[mono]

    def contracted(self, mono: Mono) -> Array:
        names = (f"{axis}'.{k}" for k, axis in enumerate(mono.bound))  # no author's index has a dot
        opened = open_mono(mono, lambda axis: next(names))
        factors = [self.atom(a, e) for a, e in opened.factors.items()]
        left = list(opened.bound)
        while left:
            joint = {i: tuple(dict.fromkeys(j for f in factors if i in f.over for j in f.over)) or (i,) for i in left}
            i = min(left, key=lambda i: self.frame.count(joint[i]))
            inside = [f for f in factors if i in f.over]
            factors = [f for f in factors if i not in f.over]
            # Bound indices that only these factors have are summed over in the same step.
            together = [j for j in left if j in joint[i] and not any(j in f.over for f in factors)]
            rest = tuple(j for j in joint[i] if j not in together)
            left = [j for j in left if j not in together]
            factors.append(self.summed(self.product(inside, (*rest, *together)), len(together)))
        return self.product(factors, tuple(dict.fromkeys(i for f in factors for i in f.over)))

    def product(self, factors: list[Array], over: tuple[str, ...]) -> Array:
        """The product of arrays over the given indices. Small arrays are multiplied first."""
        if not factors:
            return Array(over, [self.numbers.one] * self.frame.count(over))
        out, *rest = sorted(factors, key=lambda f: len(f.values))
        for f in rest:
            joint = tuple(i for i in over if i in out.over or i in f.over)
            out = Array(joint, self.numbers.times(self.frame.spread(out, joint), self.frame.spread(f, joint)))
        return Array(over, self.frame.spread(out, over))

    def summed(self, array: Array, count: int) -> Array:
        """The array, summed over its last indices, which have ``count`` positions."""
        over = array.over[: len(array.over) - count]
        length = self.frame.count(array.over[len(over) :])
        return Array(over, [self.numbers.total(row) for row in rows(array.values, length)])

    # ---- atoms -----------------------------------------------------------------------------------------------------

    def atom(self, atom: Atom, e: Exponent) -> Array:
        array = self.value(atom)
        return array if e == 1 else Array(array.over, self.numbers.power(array.values, Fraction(e)))

    def value(self, atom: Atom) -> Array:
        numbers = self.numbers
        if isinstance(atom, Read):
            return self.read(atom)
        if isinstance(atom, Size):
            return Array((), [numbers.number(Fraction(self.frame.length(atom.axis)))])
        if isinstance(atom, Irrational):
            return Array((), [numbers.constant(atom.name)])
        if isinstance(atom, Extremum):
            return self.extremum(atom)
        over = _over(atom)
        if isinstance(atom, Delta):
            sides = zip(self.position(atom.left, over), self.position(atom.right, over), strict=True)
            return Array(over, numbers.truth(a == b for a, b in sides))
        if isinstance(atom, Condition):
            return Array(over, numbers.truth(c == atom.holds for c in self.compared(atom, over)))
        args = [self.argument(a, over) for a in atom.args]
        if atom.head in ("maximum", "minimum"):
            return Array(over, numbers.larger(atom.head, args[0], args[1]))
        if atom.head == "power":
            return Array(over, numbers.raised(args[0], args[1]))
        return Array(over, self.function(atom, args[0], over))

    def compared(self, c: Condition, over: tuple[str, ...]) -> list[bool]:
        """Where the comparison of a condition holds, at every position of ``over``."""
        if c.form is not None:
            return [HOLDS[c.rel](v, 0) for v in self.form(c.form, over)]
        a, b = (self.argument(side, over) for side in c.sides)
        return self.numbers.compare(c.rel, a, b)

    def form(self, form: Form, over: tuple[str, ...]) -> list[int]:
        """The value of an affine form at every position of ``over``."""
        out = [form.offset] * self.frame.count(over)
        for (index, symbols), c in form.parts:
            for s in symbols:
                c *= self.frame.length(s[1:]) if s.startswith("#") else self.labels[s][0]
            own = [1] * len(out) if index is None else self.position(index, over)
            out = [v + c * p for v, p in zip(out, own, strict=True)]
        return out

    def function(self, atom: Function, argument: list[Any], over: tuple[str, ...]) -> list[Any]:
        """A function of one argument at every position of ``over``."""
        return self.numbers.call(atom.head, argument)

    def argument(self, argument: Argument, over: tuple[str, ...]) -> list[Any]:
        if isinstance(argument, Fraction):
            return [self.numbers.number(argument)] * self.frame.count(over)
        return self.frame.spread(self.read(argument), over)

    def read(self, read: Read) -> Array:
        values, index = self.table(read.name), read.index
        if all(isinstance(i, str) for i in index) and len(set(index)) == len(index):
            return Array(tuple(map(str, index)), values)
        over = _over(read)
        return Array(over, pick(values, self.places(read.name, index, over)))

    def places(self, name: str, index: tuple[Index, ...], over: tuple[str, ...]) -> list[int]:
        """For every position of ``over``, the place of the tensor's element at ``index``."""
        return self.frame.gathered(self.axes[name], [self.position(i, over) for i in index])

    def position(self, index: Index, over: tuple[str, ...]) -> list[int]:
        if isinstance(index, str):
            return self.frame.coordinates(index, over)
        assert not isinstance(index, (int, Hole))
        labels = self.labels[index.name] if index.name in self.labels else list(map(int, self.table(index.name)))
        return pick(labels, self.places(index.name, index.index, over)) if index.index else labels * self.frame.count(over)

    def extremum(self, atom: Extremum) -> Array:
        """The extremum or the product of the read over its holes."""
        holes = [
            f"{i.axis}'.hole{k}" for k, i in enumerate(atom.of.index) if isinstance(i, Hole)
        ]  # no bound index is called so
        names = iter(holes)
        own = {i.axis: name for i, name in zip((i for i in atom.of.index if isinstance(i, Hole)), holes, strict=True)}
        array = self.read(Read(atom.of.name, tuple(next(names) if isinstance(i, Hole) else i for i in atom.of.index)))
        forms = [(c.rel, c.form.filled(own)) for c in atom.where if c.form is not None]
        free = (*array.over, *(str(i) for _, f in forms for slot in f.indices() for i in leaves(slot)))
        rest = tuple(i for i in dict.fromkeys(free) if i not in holes)
        values = list(rows(self.frame.spread(array, (*rest, *holes)), self.frame.count(holes)))
        for rel, form in forms:
            held = rows([HOLDS[rel](v, 0) for v in self.form(form, (*rest, *holes))], self.frame.count(holes))
            values = [[v if h else None for v, h in zip(row, hs, strict=True)] for row, hs in zip(values, held, strict=True)]
        taken = [[v for v in row if v is not None] for row in values]
        if atom.head == "prod":
            return Array(rest, list(map(self.numbers.product, taken)))
        if atom.head in PLACES:
            return Array(rest, [self.numbers.place(PLACES[atom.head], row) for row in taken])
        return Array(rest, [self.numbers.largest(atom.head, row) for row in taken])


def _over(atom: Atom) -> tuple[str, ...]:
    """The free indices of an atom, in order of appearance."""
    return tuple(dict.fromkeys(str(leaf) for slot in slots(atom) for leaf in leaves(slot)))


class Magnitudes(Values):
    """The sums of the absolute values of an expression's terms, to which rounding errors are relative."""

    def __init__(self, of: Values):
        super().__init__(of.frame, of.numbers, of.axes, {}, (), of.labels)
        self.of = of

    def table(self, name: str) -> list[Any]:
        return self.of.table(name)

    def sum(self, body: Sum, index: tuple[str, ...]) -> list[Any]:
        positive = Sum({m: abs(c) for m, c in body.terms.items()})
        return super().sum(positive, index)

    def atom(self, atom: Atom, e: Exponent) -> Array:
        array = super().atom(atom, e)
        return Array(array.over, self.numbers.call("abs", array.values))
