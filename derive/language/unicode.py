"""Expressions as one line of text: in a compact form for terminals, or in the language itself."""

from __future__ import annotations

from collections.abc import Collection
from fractions import Fraction

from derive.language.printer import LinePrinter, Prec, Printed, long_decimal
from derive.syntax import Compare, Equation, Index, Match, Num, Op, Read, Tree, axis_of, free_indices, numbered

__all__ = ["declared", "equation_text", "language", "text"]

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_HALF = Num(Fraction(1, 2))
_GREEK_CONSTANTS = {"pi": "π"}


def text(tree: Tree) -> str:
    """The expression for a terminal, with the author's names: ``gamma[d]·rstd[d]³·sum[n](dy[n,d])``."""
    return _Terminal().show(tree)


def equation_text(equation: Equation) -> str:
    """An equation for a terminal, on one line."""
    return f"{text(Read(equation.name, equation.index))} = {text(equation.rhs)}"


def language(tree: Tree, *, stars: frozenset[str] = frozenset()) -> str:
    """The expression in the language. :func:`derive.language.parse.parse` reads it back to an equal expression.

    ``stars`` are the axes written ``*s``. The language has no primes. A bound ``n'`` is written ``n``, which then shadows an
    outer ``n``. Where that would capture a free index, ``n'`` is written as a further index ``n2``. An indicator is written
    ``where(x > 0, 1, 0)``. A comparison of indices, ``(c == t[n])``, is for readers only: the language does not have it.
    """
    return _Language(stars, {}).show(tree)


def declared(op: Op, name: str, axes: tuple[str, ...], *, lengths: Collection[str] = ()) -> str:
    """A tensor with its axes as the caller has them: ``x[n, (h, f), *s]``; with the given ``lengths`` of these axes."""
    given = {a: v for a, v in op.packing.lengths if a in lengths}

    def slot(packed: tuple[str, ...]) -> str:
        if len(packed) == 1:
            return f"*{packed[0]}" if packed[0] in op.stars else packed[0]
        return f"({', '.join(f'{a} = {given[a]}' if a in given else a for a in packed)})"

    slots = list(map(slot, op.packing.slots(name, axes)))
    return f"{name}[{', '.join(slots)}]" if slots else name


class _Terminal(LinePrinter):
    times = "·"
    comma = ","
    relations = {"==": "=", "!=": "≠", ">=": "≥", "<=": "≤"}

    def constant(self, name: str) -> str:
        return _GREEK_CONSTANTS.get(name, name)

    def power(self, base: Tree, exp: Tree) -> Printed:
        if exp == _HALF:
            return f"sqrt({self.show(base)})", Prec.ATOM
        shown = self.at(base, Prec.ATOM)
        if isinstance(exp, Num) and exp.value.denominator == 1:
            return shown + str(exp.value).translate(_SUPERSCRIPTS), Prec.POWER
        return f"{shown}^{self.at(exp, Prec.ATOM)}", Prec.POWER

    def number(self, value: Fraction) -> Printed:
        decimal = long_decimal(value)
        return super().number(value) if decimal is None else (decimal, Prec.ATOM)

    def indicator(self, cond: Compare | Match) -> Printed:
        return f"[{self.show(cond)}]", Prec.ATOM


class _Language(LinePrinter):
    def __init__(self, stars: frozenset[str], bound: dict[str, str]):
        self.stars, self.bound = stars, bound

    def index(self, index: Index) -> str:
        if not isinstance(index, str):
            return super().index(index)
        return ("*" if axis_of(index) in self.stars else "") + self.name(index)

    def name(self, index: str) -> str:
        return self.bound.get(index, numbered(index))

    def position(self, index: Index) -> str:
        return self.name(index) if isinstance(index, str) else self.index(index)  # only an index of a tensor has a star

    def power(self, base: Tree, exp: Tree) -> Printed:
        if exp == _HALF:
            return f"sqrt({self.show(base)})", Prec.ATOM
        return f"{self.at(base, Prec.ATOM)}**{self.at(exp, Prec.ATOM)}", Prec.POWER

    def render(self, node: Tree) -> Printed:
        # Only an index of a tensor is written with a star, not an index in a comparison.
        if isinstance(node, Match):
            left, right = (self.name(i) if isinstance(i, str) else self.index(i) for i in (node.left, node.right))
            return f"{left} {node.rel} {right}", Prec.CONDITION
        return super().render(node)

    def reduce(self, kind: str, index: tuple[str, ...], body: Tree) -> Printed:
        taken = {self.name(i) for i in free_indices(body) if i not in index}
        bound = dict(self.bound)
        for i in index:
            name, count = axis_of(i), 1
            while name in taken:
                count += 1
                name = f"{axis_of(i)}{count}"
            taken.add(name)
            bound[i] = name
        inner = _Language(self.stars, bound)
        return f"{kind}[{', '.join(map(inner.name, index))}]({inner.show(body)})", Prec.ATOM

    def indicator(self, cond: Compare | Match) -> Printed:
        if isinstance(cond, Match):
            return self.parens(self.show(cond)), Prec.ATOM
        return f"where({self.show(cond)}, 1, 0)", Prec.ATOM
