"""Dual numbers over any numbers: ``value + slope*h`` with ``h**2 = 0``. Arithmetic on dual numbers differentiates exactly.

At kinks the derivative is the declared one, as in :mod:`derive.certify.trees`.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import Any, NamedTuple

from derive.certify.numbers import Number, Numbers, Terms, slope

__all__ = ["Dual", "Duals"]

Column = list[Any]


class Dual(NamedTuple):
    value: Number
    slope: Number


class Duals(Numbers):
    """Columns in which some numbers are dual. The other numbers are constants."""

    def __init__(self, base: Numbers):
        self.base = base
        self.zero, self.one, self.nan = base.zero, base.one, base.nan

    def parts(self, a: Column) -> tuple[Column, Column | None]:
        """The values, and the slopes; None if no number is dual."""
        if not any(type(v) is Dual for v in a):
            return a, None
        zero = self.base.zero
        return [v.value if type(v) is Dual else v for v in a], [v.slope if type(v) is Dual else zero for v in a]

    def joined(self, values: Column, slopes: Column | None) -> Column:
        return values if slopes is None else list(map(Dual, values, slopes))

    def slopes(self, a: Column) -> Column:
        """The slopes alone."""
        values, slopes = self.parts(a)
        return [self.base.zero] * len(values) if slopes is None else slopes

    def number(self, value: Fraction) -> Number:
        return self.base.number(value)

    def constant(self, name: str) -> Number:
        return self.base.constant(name)

    def plus(self, a: Column, b: Column) -> Column:
        (x, dx), (y, dy) = self.parts(a), self.parts(b)
        return self.joined(self.base.plus(x, y), dy if dx is None else dx if dy is None else self.base.plus(dx, dy))

    def negated(self, a: Column) -> Column:
        x, dx = self.parts(a)
        return self.joined(self.base.negated(x), None if dx is None else self.base.negated(dx))

    def times(self, a: Column, b: Column) -> Column:
        times = self.base.times
        (x, dx), (y, dy) = self.parts(a), self.parts(b)
        one, other = (None if dx is None else times(dx, y)), (None if dy is None else times(x, dy))
        both = other if one is None else one if other is None else self.base.plus(one, other)
        return self.joined(times(x, y), both)

    def scaled(self, a: Column, by: Number) -> Column:
        x, dx = self.parts(a)
        return self.joined(self.base.scaled(x, by), None if dx is None else self.base.scaled(dx, by))

    def total(self, a: Iterable[Number]) -> Number:
        x, dx = self.parts(list(a))
        return self.base.total(x) if dx is None else Dual(self.base.total(x), self.base.total(dx))

    def power(self, a: Column, e: Fraction) -> Column:
        x, dx = self.parts(a)
        if dx is None or not e:
            return self.base.power(x, e)
        steep = self.base.scaled(self.base.power(x, e - 1), self.base.number(e)) if e != 1 else [self.one] * len(x)
        return self.joined(self.base.power(x, e), self.base.times(dx, steep))

    def raised(self, a: Column, k: Column) -> Column:
        (x, dx), (e, _) = self.parts(a), self.parts(k)
        value = self.base.raised(x, e)
        if dx is None:
            return value
        below = self.base.plus(e, [self.base.negated([self.base.one])[0]] * len(e))
        return self.joined(value, self.base.times(dx, self.base.times(e, self.base.raised(x, below))))

    def call(self, head: str, a: Column) -> Column:
        x, dx = self.parts(a)
        value = self.base.call(head, x)
        return self.joined(value, None if dx is None else self.base.times(dx, slope(self.base, head, x, value)))

    def sign(self, a: Number, b: Number) -> int | None:
        (x, y), _ = self.parts([a, b])
        return self.base.sign(x, y)

    def near(self, a: Number, b: Number, terms: Terms = None) -> bool:
        (x, y), _ = self.parts([a, b])
        return self.base.near(x, y, terms)

    def larger(self, head: str, a: Column, b: Column) -> Column:
        (x, dx), (y, dy) = self.parts(a), self.parts(b)
        value = self.base.larger(head, x, y)
        if dx is None and dy is None:
            return value
        win, half = 1 if head == "maximum" else -1, self.base.number(Fraction(1, 2))
        slopes = []
        for u, v, s, t in zip(x, y, self.slopes(a), self.slopes(b), strict=True):
            sign = self.base.sign(u, v)
            slopes.append(s if sign == win else t if sign else self.base.scaled(self.base.plus([s], [t]), half)[0])
        return self.joined(value, slopes)

    def extreme(self, kind: str, a: list[Number]) -> Number:
        x, dx = self.parts(a)
        found = self.base.extreme(kind, x)
        if dx is None:
            return found
        moved = [s for v, s in zip(x, dx, strict=True) if self.base.sign(v, found) == 0]
        share = self.base.number(Fraction(1, max(len(moved), 1)))
        return Dual(found, self.base.scaled([self.base.total(moved)], share)[0])
