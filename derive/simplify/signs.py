"""Which names and expressions are positive or never 0, as far as SymPy's assumptions show it."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from typing import Any, NamedTuple

import sympy

from derive import syntax as st
from derive.functions.records import RECORDS
from derive.terms.definitions import Definition
from derive.terms.sums import ONE, Argument, Atom, Condition, Delta, Extremum, Irrational, Mono, Read, Size, Sum, sum_reads

#: What is known of a value's sign: of the words below those that hold.
Known = frozenset[str]
WORDS = ("positive", "negative", "nonnegative", "nonpositive", "nonzero")
#: A value by what its sign depends on: the kind of the value, then its parts, with what is known of each element and a number
#: in the place of the element. Equal shapes have equal signs, so that SymPy is asked once for a shape.
Shape = tuple[Any, ...]


class End(NamedTuple):
    """A bound of a name's values. If ``strict``, no value equals the bound."""

    value: Fraction
    strict: bool


class Signs:
    """The signs of the names of one op, cached by name. False means that nothing is known."""

    def __init__(self, op: st.Op, definitions: dict[str, Definition], rows: bool = False):
        """With ``rows``, the signs are those where every condition on indices holds."""
        self.op, self.definitions, self.rows = op, definitions, rows
        names = [*(t.name for t in op.inputs), *(c.name for c in op.constants)]
        self.assumed: dict[str, Known] = {name: frozenset() for name in names}
        for a in op.assumptions:
            assert isinstance(a.left, st.Read) and isinstance(a.right, st.Num)
            self.assumed[a.left.name] |= _implied(a.rel, a.right.value)
        self.known: dict[str, Known] = {}

    def positive(self, name: str) -> bool:
        return "positive" in self.of(name)

    def nonzero(self, name: str) -> bool:
        return "nonzero" in self.of(name)

    def sum_positive(self, expr: Sum) -> bool:
        return "positive" in self.of_sum(expr) or self.bounded_below(expr)

    def bounded_below(self, expr: Sum) -> bool:
        """Whether stated bounds of names make a linear expression positive: ``1 - beta`` with ``beta < 1``."""
        least = Fraction(0)
        strict = False
        for mono, c in expr.terms.items():
            if mono == ONE:
                least += c
                continue
            atom = Sum({mono: 1}).atom
            end = self.end(atom.name, c < 0) if isinstance(atom, Read) else None
            if end is None:
                return False
            least, strict = least + c * end.value, strict or end.strict
        return least > 0 or (strict and not least)

    def end(self, name: str, upper: bool) -> End | None:
        """The upper or lower bound that the assumptions state for a name; None if they state none."""
        found = [
            End(a.right.value, a.rel in ("<", ">"))
            for a in self.op.assumptions
            if a.left == st.Read(name) and isinstance(a.right, st.Num) and a.rel in (("<", "<=") if upper else (">", ">="))
        ]
        return min(found, key=lambda e: e.value if upper else -e.value, default=None)

    def of(self, name: str) -> Known:
        """What holds for every element of a tensor."""
        waiting = [] if name in self.known else [name]
        while waiting:  # no recursion: a chain of definitions may be long
            d = None if waiting[-1] in self.assumed else self.definitions.get(waiting[-1])
            before = [n for n in sorted(sum_reads(d.body)) if n not in self.known] if d else []
            if before:
                waiting.append(before[0])
            else:
                self.known[waiting[-1]] = self.found(waiting[-1], d)
                waiting.pop()
        return self.known[name]

    def found(self, name: str, d: Definition | None) -> Known:
        """What holds for a name. All names that its definition reads must be known."""
        if d is None:
            return _implications(self.assumed.get(name, frozenset()))
        return _implications(frozenset({"positive"}) if self.bounded_below(d.body) else self.of_sum(d.body))

    def of_sum(self, expr: Sum) -> Known:
        """What holds for every value of an expression. Reads of one tensor in two terms are never taken to be equal."""
        return _signs_of_sum(tuple((c, self.product(mono)) for mono, c in expr))

    def product(self, mono: Mono) -> Shape:
        numbers: dict[Read | Extremum, int] = {}
        return tuple((self.shape(atom, e, numbers), e) for atom, e in mono.factors)

    def shape(self, atom: Atom, e: Fraction | int, numbers: dict[Read | Extremum, int]) -> Shape:
        """The shape of an atom. ``numbers`` has the elements met so far: ``x[i]`` and ``x[j]`` are two of them.

        Under a root a read is taken to be positive, as the definition requires that.
        """
        match atom:
            case Read(name):
                number = numbers.setdefault(atom, len(numbers))
                return ("root", number) if e.denominator != 1 else ("name", number, self.of(name))
            case Size(axis):
                return ("length", axis)
            case Irrational(name):
                return ("number", name)
            case Condition() if self.rows and atom.form is not None:
                return ("number", "1")
            case Delta() | Condition():
                return ("indicator",)
            case Extremum("argmax" | "argmin"):
                return ("indicator",)  # a position is not negative
            case Extremum("prod", of):
                return ("product", numbers.setdefault(atom, len(numbers)), self.of(of.name))
            case Extremum(_, of):
                return ("name", numbers.setdefault(atom, len(numbers)), self.of(of.name))
        return ("call", atom.head, *(self.argument(a, numbers) for a in atom.args))

    def argument(self, argument: Argument, numbers: dict[Read | Extremum, int]) -> Shape:
        if isinstance(argument, Fraction):
            return ("rational", argument)
        return ("name", numbers.setdefault(argument, len(numbers)), self.of(argument.name))


@lru_cache(maxsize=1 << 12)
def _signs_of_sum(terms: tuple[tuple[Fraction, Shape], ...]) -> Known:
    parts = []
    for coefficient, factors in terms:
        value = _rational(coefficient)
        for shape, e in factors:
            value *= _expression(shape) ** _rational(Fraction(e))
        parts.append(sympy.Dummy(**dict.fromkeys(_signs(value), True)) if value.free_symbols else value)
    return _signs(sympy.Add(*parts))


@lru_cache(maxsize=1 << 12)
def _implications(known: Known) -> Known:
    """All that holds for a real number of which this is known."""
    return _signs(_symbol("x", known))


def _expression(shape: Shape) -> sympy.Expr:
    """A SymPy expression that has the sign of a shape."""
    match shape:
        case ("name", number, known):
            return _symbol(f"x{number}", known)
        case ("root", number):
            return sympy.Symbol(f"x{number}", positive=True)
        case ("product", number, known):  # of positive factors it is positive, also of none; an odd number may be negative
            return _symbol(f"x{number}", known & {"positive", "nonnegative", "nonzero"})
        case ("length", axis):
            return sympy.Symbol(f"N_{axis}", positive=True)
        case ("number", name):
            return sympy.pi if name == "pi" else sympy.Integer(int(name))
        case ("rational", value):
            return _rational(value)
        case ("call", head, *args):
            function = {"maximum": sympy.Max, "minimum": sympy.Min, "power": sympy.Pow}.get(head) or RECORDS[head].symbol
            return function(*map(_expression, args))
    return sympy.Dummy(nonnegative=True)


def _symbol(name: str, known: Known) -> sympy.Symbol:
    return sympy.Symbol(name, real=True, **dict.fromkeys(known, True))


def _rational(value: Fraction) -> sympy.Rational:
    return sympy.Rational(value.numerator, value.denominator)


def _signs(value: sympy.Expr) -> Known:
    return frozenset(word for word in WORDS if getattr(value, f"is_{word}"))


def _implied(rel: str, bound: Fraction) -> Known:
    """What of the sign of a name follows from ``name rel bound``."""
    if rel in (">", ">="):
        if bound > 0 or (bound == 0 and rel == ">"):
            return frozenset({"positive"})
        return frozenset({"nonnegative"} if bound == 0 else ())
    if rel in ("<", "<="):
        if bound < 0 or (bound == 0 and rel == "<"):
            return frozenset({"negative"})
        return frozenset({"nonpositive"} if bound == 0 else ())
    return frozenset({"nonzero"} if rel == "!=" and bound == 0 else ())
