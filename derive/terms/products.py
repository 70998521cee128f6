"""The order in which a product is computed: factors of few axes are combined before they meet factors of many axes.

The order of multiplications and divisions is settled here. The cost model counts the operations of this order, and code and
formulas are written from it.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import NamedTuple

from derive.terms.factors import Factor, Powers, factor_indices, factor_order, names_first, roots_down
from derive.terms.sums import Exponent, Irrational, Order

__all__ = ["Bracket", "Part", "Piece", "Power", "Product", "Quotient", "Root", "product"]

#: A coefficient with a larger numerator or denominator is written as one number, and not as a multiplication and a division.
LARGEST_PART = 10_000


class Power(NamedTuple):
    """A factor to a positive power."""

    factor: Factor
    exponent: Exponent


class Quotient(NamedTuple):
    """``(above/below)**exponent``."""

    above: Factor
    below: Factor
    exponent: Exponent


class Root(NamedTuple):
    """The square root of a product of numbers, or of the quotient of two."""

    above: tuple[Irrational, ...]
    below: Irrational | None = None


class Bracket(NamedTuple):
    """The place of the sum that the other factors multiply; ``axes`` are the sum's free indices."""

    axes: frozenset[str]


Piece = Fraction | Power | Quotient | Root | Bracket


class Part(NamedTuple):
    """A product of pieces, divided by the product of the divisors, both multiplied from left to right."""

    pieces: tuple[Piece, ...]
    divisors: tuple[Piece, ...]


class Product(NamedTuple):
    """A product of parts, multiplied from left to right, with a minus sign if ``negative``."""

    negative: bool
    parts: tuple[Part, ...]


Group = tuple[frozenset[str], list[Piece]]


def product(
    powers: Powers, coefficient: Fraction, bracket: Bracket | None, order: Callable[[Factor], Order] = names_first
) -> Product:
    """The product of factors, a number and a sum, ordered so that it takes few operations.

    Numerators are sorted by their number of axes; ``order`` sorts factors with equally many axes. Each group of numerators
    is divided by the divisors whose axes it has.
    """
    powers, coefficient = roots_down(powers, coefficient)
    groups: list[Group] = []
    if root := _root_of_quotient(powers):
        powers = {f: e for f, e in powers.items() if not isinstance(f, Irrational)}
        groups.append((frozenset(), [root]))
    if quotient := _power_of_quotient(powers):
        powers = {f: e for f, e in powers.items() if f not in (quotient.above, quotient.below)}
        groups.append((factor_indices(quotient.above), [quotient]))
    above = [(f, e) for f, e in powers.items() if e > 0]
    for f, e in sorted(above, key=lambda fe: (len(factor_indices(fe[0])), order(fe[0]))):
        axes = factor_indices(f)
        if groups and groups[-1][0] == axes:
            groups[-1][1].append(Power(f, e))
        else:
            groups.append((axes, [Power(f, e)]))
    if bracket is not None:
        groups.append((bracket.axes, [bracket]))
    groups = groups or [(frozenset(), [])]
    numerator, denominator = abs(coefficient.numerator), coefficient.denominator
    if max(numerator, denominator) > LARGEST_PART:
        groups[0][1].insert(0, Fraction(numerator, denominator))
        denominator = 1
    elif numerator != 1 or not groups[0][1]:
        groups[0][1].insert(0, Fraction(numerator))
    return Product(coefficient < 0, _arranged(groups, _divisors(powers, denominator)))


def _root_of_quotient(powers: Powers) -> Root | None:
    """``sqrt(2)/sqrt(pi)`` as ``sqrt(2/pi)``, where a product has no other roots of numbers."""
    numbers = [f for f in powers if isinstance(f, Irrational)]
    if len(numbers) != 2:
        return None
    roots, half = {powers[f]: f for f in numbers}, Fraction(1, 2)
    return Root((roots[half],), roots[-half]) if roots.keys() == {half, -half} else None


def _power_of_quotient(powers: Powers) -> Quotient | None:
    """``u**2/v**2`` as ``(u/v)**2``: one multiplication less, and no overflow where ``u**2`` or ``v**2`` alone has one."""
    above, below = ([f for f, e in powers.items() if e.denominator == 1 and sign * e > 1] for sign in (1, -1))
    if len(above) != 1 or len(below) != 1:
        return None
    (u,), (v,) = above, below
    same = factor_indices(v) == factor_indices(u) and powers[u] == -powers[v]
    return Quotient(u, v, powers[u]) if same else None


def _divisors(powers: Powers, denominator: int) -> list[tuple[frozenset[str], Piece]]:
    """The divisors with their axes: the number, the roots of numbers as one root, then factors from few axes to many."""
    den = [(f, -e) for f, e in powers.items() if e < 0]
    den.sort(key=lambda fe: (len(factor_indices(fe[0])), factor_order(fe[0])))
    out: list[tuple[frozenset[str], Piece]] = []
    if denominator != 1:
        out.append((frozenset(), Fraction(denominator)))
    roots = [f for f, e in den if isinstance(f, Irrational) and e == Fraction(1, 2)]
    if len(roots) > 1:  # sqrt(2)*sqrt(pi) reads better as sqrt(2*pi)
        out.append((frozenset(), Root(tuple(roots))))
        den = [(f, e) for f, e in den if f not in roots]
    return out + [(factor_indices(f), Power(f, e)) for f, e in den]


def _arranged(groups: list[Group], divisors: list[tuple[frozenset[str], Piece]]) -> tuple[Part, ...]:
    """The groups of numerators, each over the divisors that belong to it, from few axes to many."""
    left, parts = list(divisors), []
    covered: frozenset[str] = frozenset()
    for k, (axes, pieces) in enumerate(groups):
        covered |= axes
        last = k == len(groups) - 1
        here = [t for a, t in left if last or a <= covered]
        left = [d for d in left if not (last or d[0] <= covered)]
        parts.append(Part(tuple(pieces), tuple(here)))
    return tuple(parts)
