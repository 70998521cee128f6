"""The number of floating-point operations of flat terms in factored form. Each operation is done only over the axes on which
its operands depend.

Nothing here knows how an expression is written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from math import prod
from typing import NamedTuple

from derive.functions import words
from derive.syntax import fresh_index
from derive.terms.determined import determined, equality, length, solvable, taken_away
from derive.terms.factoring import Choice, Factoring, ProductOfSums, Unequal, conditions
from derive.terms.factors import Inner, Powers, Term, factor_indices, split
from derive.terms.products import Bracket, Part, Piece, Power, Quotient, Root, product
from derive.terms.summation import best_order
from derive.terms.sums import (
    Argument,
    Atom,
    Condition,
    Exponent,
    Extremum,
    Function,
    Hole,
    Mono,
    Sum,
    atom_indices,
    open_mono,
)

__all__ = ["Operations"]

Axes = frozenset[str]


class Count(NamedTuple):
    """The operations of an expression, and the axes over which it is computed.

    A product that may get more ``factors``, or a sum that may get more ``addends``, does not yet count its last operation.
    """

    done: int
    axes: Axes
    factors: tuple[Axes, ...] = ()
    addends: int = 0


NUMBER = Count(0, frozenset())


class Operations:
    """Counts operations; ``size`` maps an axis to its length."""

    def __init__(self, size: Callable[[str], int]):
        self.size, self.factoring = size, Factoring(size)

    def of(self, body: Sum) -> int:
        """The operations of an expression without reductions, over its free indices."""
        return self.whole(self.sum([(dict(split(mono)), c) for mono, c in body])).done

    def reduction(self, inner: Inner) -> int:
        """The operations of one inner sum in its best order of summation."""
        return self.whole(self.summed(inner.mono)).done

    # ---- sums ------------------------------------------------------------------------------------------------------

    def sum(self, terms: list[Term]) -> Count:
        if not terms:
            return NUMBER
        common, coefficient, rest = self.factoring.pulled(terms)
        guarding, plain = _guards(common)
        cases = self.factoring.cases(rest)
        parts = [] if cases.whole else [self.apart(cases.rest)]
        parts += map(self.choice, cases.choices)
        inner = self.multiplied(parts) if parts else None
        return self.guarded([*guarding, *cases.guards], self.product(plain, coefficient, inner))

    def apart(self, terms: list[Term]) -> Count:
        """A sum without a common factor."""
        match self.factoring.apart(terms):
            case Choice() as choice:
                return self.choice(choice)
            case Unequal(equal):
                return Count(0, factor_indices(equal))
            case ProductOfSums(one, other):
                return self.multiplied([self.sum(one), self.sum(other)])
            case found:
                return self.added([self.sum(part) for part in found.parts])

    def choice(self, choice: Choice) -> Count:
        chosen = self.chosen(choice.condition, self.sum(choice.yes), self.sum(choice.no))
        return self.added([chosen, self.sum(choice.rest)]) if choice.rest else chosen

    # ---- products --------------------------------------------------------------------------------------------------

    def product(self, powers: Powers, coefficient: Fraction, inner: Count | None) -> Count:
        found = product(powers, coefficient, None if inner is None else Bracket(inner.axes))
        count = self.multiplied([self.part(p, inner) for p in found.parts])
        return self.whole(count) if found.negative else count

    def part(self, part: Part, inner: Count | None) -> Count:
        above = self.multiplied([self.piece(p, inner) for p in part.pieces])
        if not part.divisors:
            return above
        return self.each(1, above, self.multiplied([self.piece(p, inner) for p in part.divisors]))

    def piece(self, piece: Piece, inner: Count | None) -> Count:
        match piece:
            case Power(factor, e):
                return self.power(self.factor(factor), e)
            case Quotient(u, v, e):
                return self.power(self.each(1, self.factor(u), self.factor(v)), e)
            case Root(above, below):
                root = self.multiplied([NUMBER] * len(above))
                return self.power(self.each(0 if below is None else 1, root), Fraction(1, 2))
            case Bracket() if inner is not None:
                return inner
        return NUMBER

    def power(self, base: Count, e: Exponent) -> Count:
        if e == 1:
            return base
        return self.each(words.power_cost(e), base)

    # ---- reductions ------------------------------------------------------------------------------------------------

    def summed(self, mono: Mono) -> Count:
        """The nested sums of a monomial. Each sum holds only the factors that have its indices."""
        taken = {i for a, _ in mono.factors for i in factor_indices(a)}

        def name(axis: str) -> str:
            i = fresh_index(axis, taken)
            taken.add(i)
            return i

        factors, bound = open_mono(mono, name)
        pending: list[Count] = []
        for group in best_order(factors, bound, self.size):
            indices = frozenset(group)
            touched = {a: e for a, e in factors.items() if atom_indices(a) & indices}
            factors = {a: e for a, e in factors.items() if a not in touched}
            step = self.step(touched, [p for p in pending if p.axes & indices], indices)
            pending = [*(p for p in pending if not p.axes & indices), step]
        return self.times(factors, pending) if factors or len(pending) != 1 else pending[0]

    def step(self, factors: Mapping[Atom, Exponent], inner: Sequence[Count], indices: Axes) -> Count:
        """The sum over ``indices`` of a product of factors and of inner sums, over no index that an equality row determines."""
        loop, depends = determined(factors, self.size)
        body = self.whole(self.times(loop, [p._replace(axes=_without(p.axes, depends)) for p in inner]))
        axes = frozenset().union(indices, *map(factor_indices, factors), *(p.axes for p in inner))
        return Count(body.done + self.elements(_without(axes, depends)), axes - indices)

    def times(self, factors: Mapping[Atom, Exponent], inner: Sequence[Count]) -> Count:
        """The product of factors and of inner sums."""
        guarding, plain = _guards(factors)
        if len(guarding) == 1 and not plain and not inner:
            return self.factor(guarding[0])
        own = [self.product(plain, Fraction(1), None)] if plain or not inner else []
        return self.guarded(guarding, self.multiplied([*own, *inner]))

    # ---- atoms -----------------------------------------------------------------------------------------------------

    def factor(self, factor: Atom | Inner) -> Count:
        match factor:
            case Inner(mono):
                return self.summed(mono)
            case Function(head, args):
                return self.each(words.cost(head), *map(self.argument, args))
            case Condition():
                return self.comparison(factor) if factor.holds else self.chosen(factor, NUMBER, NUMBER)
            case Extremum():
                return self.extremum(factor)
        return Count(0, factor_indices(factor))

    def extremum(self, atom: Extremum) -> Count:
        """One comparison for each element that takes part in an extremum."""
        axes = factor_indices(atom)
        loop: set[str | Hole] = {*axes, *(i for i in atom.of.index if isinstance(i, Hole))}
        rows = (solvable(form) for c in atom.where if (form := equality(c)) is not None)
        return Count(prod(length(i, self.size) for i in loop.difference(taken_away(rows, self.size))), axes)

    def argument(self, argument: Argument) -> Count:
        return NUMBER if isinstance(argument, Fraction) else self.factor(argument)

    def comparison(self, c: Condition) -> Count:
        if c.form is not None:
            return self.each(1, Count(0, factor_indices(c)))
        return self.each(1, *map(self.argument, c.sides))

    def chosen(self, c: Condition, yes: Count, no: Count) -> Count:
        return self.each(words.cost("where"), self.comparison(c), yes, no)

    def guarded(self, guarding: Sequence[Condition], product: Count) -> Count:
        """A product guarded by its conditions: it is chosen where they hold, else 0."""
        for c in guarding:
            product = self.chosen(c, product, NUMBER)
        return product

    # ---- counting --------------------------------------------------------------------------------------------------

    def each(self, operations: int, *parts: Count) -> Count:
        """``operations`` for each element of a result that depends on all parts."""
        parts = tuple(map(self.whole, parts))
        axes: Axes = frozenset().union(*(p.axes for p in parts))
        return Count(sum(p.done for p in parts) + operations * self.elements(axes), axes)

    def added(self, parts: Sequence[Count]) -> Count:
        if len(parts) == 1:
            return parts[0]
        parts = [p if p.addends else self.whole(p) for p in parts]
        axes: Axes = frozenset().union(*(p.axes for p in parts))
        return Count(sum(p.done for p in parts), axes, addends=sum(max(p.addends, 1) for p in parts))

    def multiplied(self, parts: Sequence[Count]) -> Count:
        """A product from left to right."""
        if len(parts) == 1:
            return parts[0]
        parts = [p if p.factors else self.whole(p) for p in parts]
        factors = tuple(axes for p in parts for axes in (p.factors or (p.axes,)))
        return Count(sum(p.done for p in parts), frozenset().union(*factors), factors)

    def whole(self, count: Count) -> Count:
        """The count of a finished expression, its last operation included."""
        if count.addends:
            return Count(count.done + (count.addends - 1) * self.elements(count.axes), count.axes)
        return Count(count.done + self.multiplications(count.factors), count.axes) if count.factors else count

    def multiplications(self, factors: Sequence[Axes]) -> int:
        """The multiplications of factors from left to right, each over the axes of all factors up to it."""
        seen, cost = factors[0], 0
        for axes in factors[1:]:
            seen |= axes
            cost += self.elements(seen)
        return cost

    def elements(self, axes: Axes) -> int:
        return self.factoring.elements(axes)


def _guards(powers: Mapping[Atom, Exponent] | Powers) -> tuple[list[Condition], Powers]:
    """The conditions of a product, and its other factors."""
    guarding = conditions(powers)
    return guarding, {f: e for f, e in powers.items() if f not in guarding}


def _without(axes: Axes, depends: Mapping[str, Axes]) -> Axes:
    """The axes, with those on which a determined index depends in its place."""
    return frozenset().union(*(depends.get(i, (i,)) for i in axes))
