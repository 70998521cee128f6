"""Upper bounds of the degrees of named values, as rational functions of the random values.

All elements of a name have the same bound: the degree of a numerator, over divisors that all elements share. A divisor is a
name to a power, and stands for the product of all elements of that name, each to that power.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from math import ceil, log2
from typing import NamedTuple

from derive.certify.arrays import Frame
from derive.certify.flat import Bound
from derive.terms.sums import Argument, Atom, Condition, Delta, Exponent, Extremum, Function, Hole, Irrational, Read, Size, Sum

__all__ = ["Degree", "Degrees", "false_pass"]


class Degree(NamedTuple):
    """The degree of the numerators, and the power of each divisor by name."""

    top: int
    below: Mapping[str, int]


#: The degrees of a random value (also of an unknown function's value), and of a value that no draw changes.
DRAWN, FIXED = Degree(1, {}), Degree(0, {})


class Degrees:
    """The bounds of the names that ``definitions`` define, in this order. ``axes`` has the axes of all names."""

    def __init__(self, frame: Frame, axes: Mapping[str, tuple[str, ...]], definitions: Iterable[Bound]):
        self.frame, self.axes = frame, axes
        self.names: dict[str, Degree] = {}
        #: For each name and denominator of an exponent, the number of roots taken. Each root needs its value to be a square.
        self.roots: dict[tuple[str, int], int] = {}
        for d in definitions:
            self.names[d.name] = self.sum(d.body)

    def whole(self, name: str) -> int:
        """The degree of a name's numerators plus that of its divisors."""
        found = self.names.get(name, DRAWN)
        return found.top + self.divisor(found.below)

    def divisor(self, below: Mapping[str, int]) -> int:
        """The degree of the product of divisors."""
        return sum(self.frame.count(self.axes.get(n, ())) * self.names.get(n, DRAWN).top * e for n, e in below.items())

    def sum(self, body: Sum) -> Degree:
        found = [self.product(m.factors) for m in body.terms]
        below: dict[str, int] = {}
        for degree in found:
            for n, e in degree.below.items():
                below[n] = max(below.get(n, 0), e)
        whole = self.divisor(below)
        return Degree(max((d.top + whole - self.divisor(d.below) for d in found), default=0), below)

    def product(self, factors: Iterable[tuple[Atom, Exponent]]) -> Degree:
        top, below = 0, dict[str, int]()
        for atom, e in factors:
            degree = self.power(atom, Fraction(e))
            top += degree.top
            for n, k in degree.below.items():
                below[n] = below.get(n, 0) + k
        return Degree(top, below)

    def power(self, atom: Atom, e: Fraction) -> Degree:
        degree = self.atom(atom)
        if e.denominator > 1 and isinstance(atom, Read):
            # sqrt(u/v) is sqrt(u*v)/v.
            self.roots[atom.name, e.denominator] = self.frame.count(self.axes.get(atom.name, ()))
            degree = Degree(ceil(Fraction(degree.top + self.divisor(degree.below), e.denominator)), degree.below)
            e = Fraction(e.numerator)
        k = abs(int(e))
        if e >= 0 or not isinstance(atom, Read):
            return Degree(degree.top * k, {n: j * k for n, j in degree.below.items()})
        # 1/u[i] is the product of all elements but u[i], times the divisors of u, over the product of all elements.
        others = (self.frame.count(self.axes.get(atom.name, ())) - 1) * degree.top
        return Degree((others + self.divisor(degree.below)) * k, {atom.name: k})

    def atom(self, atom: Atom) -> Degree:
        if isinstance(atom, Read):
            return self.names.get(atom.name, DRAWN)
        if isinstance(atom, (Size, Delta, Condition)):
            return FIXED
        if isinstance(atom, Irrational):
            return DRAWN
        if isinstance(atom, Extremum):
            degree = self.names.get(atom.of.name, DRAWN)
            if atom.head != "prod":
                return degree
            count = self.frame.count([i.axis for i in atom.of.index if isinstance(i, Hole)])
            return Degree(degree.top * count, {n: e * count for n, e in degree.below.items()})
        assert isinstance(atom, Function)
        if atom.head in ("maximum", "minimum", "abs", "sign", "finite", "stop"):
            return self.joined(atom.args)
        return Degree(2, {})  # the value of an exponential is the square of a random value

    def joined(self, args: Iterable[Argument]) -> Degree:
        """The bound of a value that is one of several arguments."""
        found = [self.names.get(a.name, DRAWN) for a in args if isinstance(a, Read)]
        below: dict[str, int] = {}
        for degree in found:
            below |= {n: max(e, below.get(n, 0)) for n, e in degree.below.items()}
        return Degree(max((d.top + self.divisor(below) for d in found), default=0), below)


def false_pass(prime: int, degrees: Degrees, constraints: int) -> int:
    """``bits``, where the probability that something false passes is at most ``2**-bits``.

    The difference of two compared values has at most twice the degree of all names together. Every root doubles the degree:
    the polynomial that vanishes is a product over both signs of the root. Every value that had to be a square was drawn
    again until it was a square, which at most doubles the probability.
    """
    degree = 2 * (sum(map(degrees.whole, degrees.names)) + 1)
    roots = sum(n * ceil(log2(e)) for (_, e), n in degrees.roots.items())
    return max(0, int(log2(prime) - log2(degree)) - 2 * roots - constraints)
