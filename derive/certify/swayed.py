"""Arithmetic in which every inexact result has a random relative error, to show what rounding may do to comparisons.

Two values that are equal but for rounding differ here. So a result that depends on which of them is larger changes visibly.
Results that floating point computes exactly in any order stay exact: sums, differences, products and squares of small
multiples of 1/1024, and functions whose value is 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from fractions import Fraction
from random import Random
from typing import Any

from derive.certify.numbers import REAL, Real

__all__ = ["SWAY", "Swayed"]

#: The largest relative error of a result; the smallest is half of it. Both exceed the errors of double precision.
SWAY = 1e-12
#: Multiples of 1/1024 below this are exact in float32 too.
GRID, REACH = 1024, 2**14
#: The functions whose values are a choice among numbers, or a number with its sign changed: these are exact.
CHOOSING = frozenset({"abs", "sign", "floor", "ceil", "round", "stop", "finite"})

Column = list[Any]


class Swayed(Real):
    """Each result has its own random error, which changes its sign with ``sign``.

    As in floating point, 0 times NaN is NaN.
    """

    def __init__(self, seed: int, sign: int):
        super().__init__()
        self.functions = REAL.functions  # shared, with their cached values
        self.random, self.direction = Random(seed), sign

    def off(self, value: Decimal) -> Decimal:
        if not (value and value.is_finite()):
            return value
        part = Decimal(self.direction * self.random.choice((1, -1)) * self.random.uniform(SWAY / 2, SWAY))
        return self.context.multiply(value, self.context.add(self.one, part))

    def kept(self, values: Iterable[Decimal]) -> Column:
        """The values with their errors. Values on the grid stay exact."""
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
        """Quotients. A division by a number with an exact inverse counts as a multiplication."""
        return list(self._quotients(super().over(a, b), b))

    def _quotients(self, found: Column, b: Column) -> Iterator[Decimal]:
        for v, below in zip(found, b, strict=True):
            exact = on_grid(v) and below and on_grid(REAL.context.divide(self.one, below))
            yield v if exact else self.off(v)

    def power(self, a: Column, e: Fraction) -> Column:
        found = super().power(a, e)
        return self.kept(found) if e in (-1, 1, 2) else list(map(self.off, found))

    def raised(self, a: Column, k: Column) -> Column:
        return list(map(self.off, super().raised(a, k)))

    def call(self, head: str, a: Column) -> Column:
        found = super().call(head, a)
        return found if head in CHOOSING else list(map(self.off, found))


def on_grid(value: Decimal) -> bool:
    """Whether a number is a multiple of ``1/GRID`` below ``REACH``."""
    if not value.is_finite() or value.copy_abs() >= REACH:
        return False
    scaled = REAL.context.multiply(value, Decimal(GRID))
    return scaled == scaled.to_integral_value()
