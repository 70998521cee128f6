"""Arithmetic in which every result that need not be exact is a little off: what rounding may do, to comparisons too.

Two values that are equal but for rounding are no longer equal here, so that what hangs on which of them is larger moves by the
whole of it. What floating point has exactly, in whatever order it is computed, stays: sums, differences, products and squares
of small multiples of 1/1024, and any function that is 0 there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from fractions import Fraction
from random import Random
from typing import Any

from derive.certify.numbers import REAL, Real

__all__ = ["SWAY", "Swayed"]

#: How far off a result is, at most and at least half as much, relative to it: more than double precision ever is.
SWAY = 1e-12
#: Multiples of 1/1024 below this are exact in float32 too.
GRID, REACH = 1024, 2**14
#: What is computed by a choice among numbers or a change of sign.
CHOOSING = frozenset({"abs", "sign", "floor", "finite"})

Column = list[Any]


class Swayed(Real):
    """Each result is off by another random amount; with the other ``sign`` by the opposite of it.

    Undefined numbers spread: zero times nothing is nothing, as in floating point.
    """

    def __init__(self, seed: int, sign: int):
        super().__init__()
        self.functions = REAL.functions  # with the values that they have found
        self.random, self.direction = Random(seed), sign

    def off(self, value: Decimal) -> Decimal:
        if not (value and value.is_finite()):
            return value
        part = Decimal(self.direction * self.random.choice((1, -1)) * self.random.uniform(SWAY / 2, SWAY))
        return self.context.multiply(value, self.context.add(self.one, part))

    def kept(self, values: Iterable[Decimal]) -> Column:
        """Values that are exact where they lie on the grid."""
        return [v if on_grid(v) else self.off(v) for v in values]

    def number(self, value: Fraction) -> Decimal:
        return self.kept([super().number(value)])[0]

    def constant(self, name: str) -> Decimal:
        return self.kept([super().constant(name)])[0]

    def plus(self, a: Column, b: Column) -> Column:
        return self.kept(super().plus(a, b))

    def times(self, a: Column, b: Column) -> Column:
        return self.kept(map(self.context.multiply, a, b))

    def scaled(self, a: Column, by: Decimal) -> Column:
        return self.times(a, [by] * len(a))

    def total(self, a: Iterable[Decimal]) -> Decimal:
        return self.kept([super().total(a)])[0]

    def over(self, a: Column, b: Column) -> Column:
        """Quotients by what has an exact inverse are products."""
        return list(self._quotients(super().over(a, b), b))

    def _quotients(self, found: Column, b: Column) -> Iterator[Decimal]:
        for v, below in zip(found, b, strict=True):
            exact = on_grid(v) and below and on_grid(REAL.context.divide(self.one, below))
            yield v if exact else self.off(v)

    def power(self, a: Column, e: Fraction) -> Column:
        found = super().power(a, e)
        return self.kept(found) if e in (-1, 1, 2) else list(map(self.off, found))

    def call(self, head: str, a: Column) -> Column:
        found = super().call(head, a)
        return found if head in CHOOSING else list(map(self.off, found))


def on_grid(value: Decimal) -> bool:
    """Whether a number is a small multiple of 1/1024."""
    if not value.is_finite() or abs(value) >= REACH:
        return False
    scaled = REAL.context.multiply(value, Decimal(GRID))
    return scaled == scaled.to_integral_value()
