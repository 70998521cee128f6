"""Dual numbers: a value, its derivatives by every input, and how large the terms were that they were added up from.

The derivatives at kinks are the declared ones: ties share equally, ``abs`` and ``sign`` have derivative 0 at 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

#: Values that differ by less than this part of their terms are neither equal nor told apart: another order of addition may
#: decide a comparison otherwise.
NEAR = 1e-4
#: Beside a constant, what is smaller than this part of it is lost in float64.
ABSORBED = 1e-8
#: Two roundings of float32, as a part of what it is asked for (``OWN32`` of ``check``).
SINGLE = 2.0**-23 / 2e-2
#: What is exact is a multiple of 2**-10 below 2**14, so float32 holds it too.
GRID, REACH = 1024.0, 16384.0


class BadPoint(Exception):
    """The point is of no use: a value is not finite there, or next to a kink."""


class Dual:
    """``size`` is the sum of the absolute values of the terms of ``value``, ``sizes`` that of each derivative.

    ``key`` tells computations apart: equal keys mean the same operations on the same numbers. ``exact`` says that the value
    came about without rounding.
    """

    __slots__ = ("exact", "key", "size", "sizes", "slopes", "value")

    def __init__(self, value: float, slopes: np.ndarray, size: float, sizes: np.ndarray, key: int, exact: bool):
        if not math.isfinite(value) or not math.isfinite(size) or size > 1e60:
            raise BadPoint(f"a value of {value}")
        self.value, self.slopes, self.size, self.sizes, self.key, self.exact = value, slopes, size, sizes, key, exact

    def along(
        self, value: float, slope: float, head: object, size: float = 0.0, terms: float = 0.0, curve: float = 0.0
    ) -> Dual:
        """A function of this number with that value and derivative; ``terms`` are those of the derivative's own formula.

        ``curve`` is the second derivative. A derivative is known as well as the place where it is taken: that of a sine of
        1e30 is any number.
        """
        if not math.isfinite(slope):
            raise BadPoint(f"a derivative of {slope}")
        size, terms = max(abs(value), abs(slope) * self.size, size), max(abs(slope), terms, abs(curve) * self.size * SINGLE)
        return Dual(value, slope * self.slopes, size, terms * self.sizes, hash((head, self.key)), False)

    def rounded(self) -> Dual:
        """The same, ``exact`` if the value lies on the grid."""
        self.exact = on_grid(self.value)
        return self

    def __neg__(self) -> Dual:
        return Dual(-self.value, -self.slopes, self.size, self.sizes, hash(("-", self.key)), self.exact)

    def __add__(self, other: Dual) -> Dual:
        if not isinstance(other, Dual):
            return NotImplemented  # an array takes over
        hides = max(self.hides(other), other.hides(self))
        out = Dual(
            self.value + other.value,
            self.slopes + other.slopes,
            self.size + other.size,
            (self.sizes + other.sizes) * max(1.0, SINGLE * hides),
            hash(("+", frozenset((self.key, other.key)), self.key == other.key)),
            False,
        )
        return out.rounded() if self.exact and other.exact else out

    def hides(self, other: Dual) -> float:
        """How many times larger this number is, if all that depends on the inputs is the other one; else 0.

        Derivatives that are read from the sum, as ``y*(1 - y)`` is from ``y = 1/(1 + exp(-15))``, lose as much to rounding in
        every library (BadPoint where they lose all: ``1 + exp(-40)``).
        """
        if not other.value or abs(other.value) >= abs(self.value) or self.slopes.any() or not other.slopes.any():
            return 0.0
        if abs(other.value) < ABSORBED * abs(self.value) < 1e4 * ABSORBED:
            raise BadPoint("a term that is lost beside a constant one")
        return abs(self.value / other.value) if abs(self.value) < 1e4 else 0.0

    def __sub__(self, other: Dual) -> Dual:
        if not isinstance(other, Dual):
            return NotImplemented  # an array takes over
        return self + -other

    def __mul__(self, other: Dual) -> Dual:
        if not isinstance(other, Dual):
            return NotImplemented  # an array takes over
        out = Dual(
            self.value * other.value,
            self.slopes * other.value + self.value * other.slopes,
            self.size * other.size,
            self.sizes * other.size + self.size * other.sizes,
            hash(("*", frozenset((self.key, other.key)), self.key == other.key)),
            False,
        )
        return out.rounded() if self.exact and other.exact else out

    def __truediv__(self, other: Dual) -> Dual:
        if not isinstance(other, Dual):
            return NotImplemented  # an array takes over
        if abs(other.value) < 1e-3 * other.size or other.value**2 == 0:
            raise BadPoint("a denominator that cancels")
        inverse = other.along(1 / other.value, -1 / other.value**2, "/", curve=2 / other.value**3)
        out = self * inverse
        out.exact = self.exact and other.exact and on_grid(out.value) and on_grid(1 / other.value)
        return out

    def power(self, exponent: float) -> Dual:
        if exponent == 0:
            return constant(1.0, len(self.slopes))
        x = self.value
        if x == 0 and exponent < 1:
            raise BadPoint("a power of 0")
        if exponent != int(exponent) and x < 0:
            raise BadPoint("a root of a negative number")
        if exponent < 0 and abs(x) < 1e-3 * self.size:
            raise BadPoint("a denominator that cancels")
        try:
            value, slope = x**exponent, exponent * x ** (exponent - 1)
            curve = exponent * (exponent - 1) * x ** (exponent - 2) if x else 0.0
        except OverflowError:
            raise BadPoint("an overflow") from None
        size = abs(self.size**exponent) if exponent > 0 else 0.0
        out = self.along(value, slope, ("power", exponent), size, curve=curve)
        if self.exact and exponent > 0 and exponent == int(exponent):
            out.rounded()
        return out


def constant(value: float, inputs: int) -> Dual:
    """A number that depends on no input; ``inputs`` is the number of derivatives."""
    zero = np.zeros(inputs)
    return Dual(value, zero, abs(value), zero, hash(("number", value)), on_grid(value))


def variable(value: float, position: int, inputs: int) -> Dual:
    """The input at that position. Equal inputs have equal keys, so that what is computed from them ties."""
    slopes = np.zeros(inputs)
    slopes[position] = 1.0
    return Dual(value, slopes, abs(value), slopes, hash(("number", value)), on_grid(value))


def on_grid(value: float) -> bool:
    return abs(value) < REACH and value * GRID == math.floor(value * GRID)


def order(a: Dual, b: Dual) -> int:
    """-1, 0 or 1; BadPoint where rounding could decide it."""
    if a.value == b.value:
        if a.key == b.key or (a.exact and b.exact):
            return 0
        raise BadPoint("a tie that may be one of rounding")
    if not (a.exact and b.exact) and abs(a.value - b.value) < NEAR * (a.size + b.size):
        raise BadPoint("next to a tie")
    return -1 if a.value < b.value else 1


def share(parts: Sequence[Dual], sign: int) -> Dual:
    """The largest (``sign`` 1) or the smallest (-1) of them; ties share the derivative equally."""
    best: list[Dual] = []
    for p in parts:
        compared = order(p, best[0]) * sign if best else 1
        if compared > 0:
            best = [p]
        elif compared == 0:
            best.append(p)
    top = best[0]
    for p in parts:  # every other must be told apart from the winner, not only from the one before
        order(p, top)
    if len(best) == 1:
        return top
    slopes = sum((b.slopes for b in best[1:]), top.slopes) / len(best)
    sizes = sum((b.sizes for b in best[1:]), top.sizes) / len(best)
    return Dual(top.value, slopes, max(b.size for b in best), sizes, top.key, top.exact)
