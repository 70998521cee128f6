"""Arithmetic modulo a prime in the place of real numbers. A false rational identity holds there only with small probability.

For a prime of the form ``4*k + 3``, squares take the part of positive numbers: exactly one of ``a`` and ``-a`` is a square,
products of squares are squares, and each square has exactly one root that is a square. So ``abs``, ``sign``, ``where`` and
roots keep the identities that the engine uses. A function that is not rational is unknown: it has a random value for each
argument, and always the same for one argument.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from fractions import Fraction
from math import gcd, nan
from typing import Any

from sympy import isprime

from derive.certify.numbers import Numbers, Terms
from derive.points import random_of

__all__ = ["BITS", "Residues", "random_prime"]

BITS = 61
#: Integers that must be squares, as they are positive, and the degrees of roots that must be unique.
SQUARES, DEGREES = (2, 3, 5, 7), 3 * 5 * 7

Column = list[Any]


def random_prime(*what: object) -> int:
    """A random prime of 61 bits, which depends only on the text of the arguments."""
    rng = random_of("prime", *what)
    while True:
        p = rng.randrange(2 ** (BITS - 1) + 3, 2**BITS, 4)
        if gcd((p - 1) // 2, DEGREES) == 1 and all(pow(n, (p - 1) // 2, p) == 1 for n in SQUARES) and isprime(p):
            return p


class Residues(Numbers):
    """Integers modulo ``p``. An undefined value, such as the square root of a number that is no square, is NaN."""

    zero, one, nan = 0, 1, nan

    def __init__(self, p: int):
        self.p, self.half = p, (p - 1) // 2
        self.known: dict[tuple[str, int], int] = {}

    def number(self, value: Fraction) -> Any:
        below = value.denominator % self.p
        return value.numerator * pow(below, -1, self.p) % self.p if below else self.nan

    def constant(self, name: str) -> int:
        """A random square for ``pi``, as ``pi`` is positive."""
        return self.unknown(name, 0) ** 2 % self.p if name == "pi" else int(name) % self.p

    def plus(self, a: Column, b: Column) -> Column:
        p = self.p
        return [(x + y) % p for x, y in zip(a, b, strict=True)]

    def negated(self, a: Column) -> Column:
        p = self.p
        return [-x % p for x in a]

    def times(self, a: Column, b: Column) -> Column:
        p = self.p
        out = [x * y % p for x, y in zip(a, b, strict=True)]
        if any(v != v for v in out):
            return [v if x and y else 0 for v, x, y in zip(out, a, b, strict=True)]
        return out

    def scaled(self, a: Column, by: int) -> Column:
        p = self.p
        return [x * by % p for x in a]

    def total(self, a: Iterable[int]) -> int:
        return sum(a) % self.p

    def power(self, a: Column, e: Fraction) -> Column:
        return [self.one_power(v, e) for v in a]

    def one_power(self, base: Any, e: Fraction) -> Any:
        below = e.denominator
        if base != base or (not base and e < 0) or (below > 1 and base and not self.square(base)):
            return self.nan
        while below % 2 == 0:
            base, below = pow(base, (self.p + 1) // 4, self.p), below // 2
        if below > 1:
            if gcd(below, self.half) > 1:
                return self.nan
            base = pow(base, pow(below, -1, self.half), self.p)
        return pow(base, e.numerator, self.p)

    def square(self, a: int) -> bool:
        return pow(a, self.half, self.p) == 1

    def raised(self, a: Column, k: Column) -> Column:
        """An unknown function of both."""
        return [self.nan if x != x or e != e else self.unknown(f"power {e}", x) for x, e in zip(a, k, strict=True)]

    def call(self, head: str, a: Column) -> Column:
        if head in ("abs", "sign"):
            signs = [self.sign(v, 0) for v in a]
            if head == "sign":
                return [self.nan if s is None else s % self.p for s in signs]
            return [v if s is None else v * s % self.p for v, s in zip(a, signs, strict=True)]
        if head in ("finite", "stop"):  # the identity on numbers
            return a
        if head == "log":  # at 0 it has no value, and neither have the inverses that its derivative takes
            return [self.nan if v != v or not v else self.unknown(head, v) for v in a]
        return [v if v != v else self.unknown(head, v) for v in a]

    def unknown(self, head: str, at: int) -> int:
        """The random value of an unknown function at one argument."""
        key = (head, at)
        if key not in self.known:
            text = f"{self.p}/{head}/{at}".encode()
            self.known[key] = int.from_bytes(hashlib.sha256(text).digest()[:16], "big") % self.p
        return self.known[key]

    def sign(self, a: Any, b: Any) -> int | None:
        if a != a or b != b:
            return None
        gap = (a - b) % self.p
        return 0 if not gap else 1 if self.square(gap) else -1

    def near(self, a: Any, b: Any, terms: Terms = None) -> bool:
        """Whether two residues are equal; True if either is undefined, as there is nothing to compare."""
        return bool(a == b) or a != a or b != b

    def extreme(self, kind: str, a: list[Any]) -> Any:
        """The first or the last number of a row in a random order, as comparison by squares is not transitive."""
        if any(v != v for v in a):
            return self.nan
        key = {v: self.unknown("order", v) for v in a}
        return max(a, key=key.__getitem__) if kind == "max" else min(a, key=key.__getitem__)
