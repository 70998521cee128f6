"""The forms in which sums are computed: common factors are pulled out so that fewer operations are left.

The form with the fewest operations at the given axis lengths is taken; ``prefer`` decides between forms that save equally
much. A form says how a sum is computed from smaller sums. These smaller sums are again lists of terms.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction

from derive.terms.factors import (
    Factor,
    Powers,
    Term,
    common_factors,
    factor_indices,
    factor_order,
    names_first,
    ratio_of,
    shared_factors,
    sign_of,
    without,
)
from derive.terms.sums import Condition, Delta, Order, axis_of, either, negated, times

__all__ = ["DEFAULT_SIZE", "Cases", "Choice", "Factoring", "Addends", "ProductOfSums", "Unequal", "conditions"]

#: The assumed length of an axis whose length the op does not state.
DEFAULT_SIZE = 512
#: The terms of the number 1.
ONE: tuple[Term, ...] = (({}, Fraction(1)),)


@dataclass(frozen=True)
class Choice:
    """``where(condition, yes, no) + rest``."""

    condition: Condition
    yes: list[Term]
    no: list[Term]
    rest: list[Term]


@dataclass(frozen=True)
class Cases:
    """``where(guards, choices*rest, 0)``: a guard and a choice from ``k*[a = b]*rest + [a < b]*rest``, for each such pair."""

    guards: list[Condition]
    choices: list[Choice]
    rest: list[Term]

    @property
    def whole(self) -> bool:
        """Whether guards and choices are all: the rest is 1."""
        return self.rest == list(ONE)


@dataclass(frozen=True)
class Unequal:
    """``[c != j]``, from ``1 - [c = j]``; ``equal`` is ``[c = j]``."""

    equal: Delta


@dataclass(frozen=True)
class ProductOfSums:
    """The product of two sums."""

    one: list[Term]
    other: list[Term]


@dataclass(frozen=True)
class Addends:
    """A sum of smaller sums. The terms of each smaller sum have a common factor, or are a single term."""

    parts: list[list[Term]]


class Factoring:
    """Chooses the form of a sum. ``size`` maps an axis to its length, ``prefer`` a factor to its rank (the largest wins)."""

    def __init__(self, size: Callable[[str], int], prefer: Callable[[Factor], Order] = names_first):
        self.size, self.prefer = size, prefer

    def pulled(self, terms: list[Term]) -> tuple[Powers, Fraction, list[Term]]:
        """The common factors, the common number, and what is left of each term.

        A common factor is narrow if it has fewer axes than the sum. A narrow factor stays in the terms where every term has
        another narrow factor: those two are multiplied first, and pulled out the factor would cost a multiplication over all
        axes.
        """
        common, coefficient, rest = common_factors(terms)
        loop = frozenset().union(*(factor_indices(f) for powers, _ in terms for f in powers))
        narrow = {f: e for f, e in common.items() if factor_indices(f) < loop and not isinstance(f, (Condition, Delta))}
        if len(rest) < 2 or not narrow or not all(_has_narrow(powers, c, loop) for powers, c in rest):
            return common, coefficient, rest
        for powers, _ in rest:
            for f, e in narrow.items():
                times(powers, f, e)
        return {f: e for f, e in common.items() if f not in narrow}, coefficient, rest

    def apart(self, terms: list[Term]) -> Choice | Unequal | ProductOfSums | Addends:
        """The form of a sum without a common factor: by a condition, else by the factor most worth sharing, else by terms."""
        return self.exclusive(terms) or self.shared(terms)

    def cases(self, terms: list[Term]) -> Cases:
        """A sum without a common factor, with a guard for every two conditions of which each term has one or the other.

        What else the terms have in common can then stand behind the guard. So it need not be finite where both are false.
        """
        guards, choices = list[Condition](), list[Choice]()
        while (found := _guarded(terms)) is not None:
            guards.append(found[0])
            choice, terms = _without_common(found[1])
            choices.append(choice)
        return Cases(guards, choices, terms)

    def exclusive(self, terms: list[Term]) -> Choice | Unequal | None:
        """The form of a sum that has terms of both sides of a condition, or that is ``1 - [c = j]``; None for other sums."""
        return _choice(terms) or _unequal(terms)

    def shared(self, terms: list[Term]) -> ProductOfSums | Addends:
        """The form of a sum by the factors that its terms share."""
        if (product := _product_of_sums(terms)) is not None:
            return product
        shared = self.most_shared(terms)
        if shared is None:
            return Addends([[t] for t in terms])
        with_it = [t for t in terms if t[0].get(shared[0]) and sign_of(t[0][shared[0]]) == shared[1]]
        return Addends([with_it, *([t] for t in terms if t not in with_it)])

    def most_shared(self, terms: list[Term]) -> tuple[Factor, int] | None:
        """The factor whose sharing saves most, with the sign of its exponent; None if sharing saves no multiplication.

        A factor with fewer axes than its terms is not shared: inside a term, it multiplies other factors of few axes.
        """
        if len(terms) < 3:
            return None
        counts: dict[tuple[Factor, int], int] = {}
        axes: dict[tuple[Factor, int], frozenset[str]] = {}
        for powers, _ in terms:
            loop = frozenset().union(*map(factor_indices, powers))
            for f, e in powers.items():
                key = (f, sign_of(e))
                counts[key] = counts.get(key, 0) + 1
                axes[key] = axes.get(key, frozenset()) | loop
        worth = [k for k, n in counts.items() if 1 < n < len(terms) and factor_indices(k[0]) >= axes[k]]
        return max(worth, key=lambda k: (self.saved(k, terms), self.prefer(k[0])), default=None)

    def saved(self, key: tuple[Factor, int], terms: list[Term]) -> int:
        """The multiplications saved if the terms with this factor share it and everything else that they have in common."""
        held = [t for t in terms if t[0].get(key[0]) and sign_of(t[0][key[0]]) == key[1]]
        return (len(held) - 1) * sum(self.elements(factor_indices(f)) for f in shared_factors(held))

    def elements(self, indices: frozenset[str]) -> int:
        """The number of elements of a tensor with these indices."""
        n = 1
        for i in indices:
            n *= self.size(axis_of(i))
        return n


def conditions(powers: Iterable[Factor]) -> list[Condition]:
    """The conditions among the factors of a product. The product is 0 where one of its conditions is 0."""
    return sorted((a for a in powers if isinstance(a, Condition)), key=factor_order)


def _has_narrow(powers: Powers, coefficient: Fraction, loop: frozenset[str]) -> bool:
    return any(factor_indices(f) < loop for f in powers) or abs(coefficient) != 1


def _choice(terms: list[Term]) -> Choice | None:
    """A choice by the first condition of which both sides occur; None where there is no such condition."""
    for c in _conditions_of(terms):
        if any(negated(c) in powers for powers, _ in terms):
            return _sides(terms, c, negated(c)) if c.holds else _sides(terms, negated(c), c)
    return None


def _conditions_of(terms: list[Term]) -> list[Condition]:
    return [f for powers, _ in terms for f in powers if isinstance(f, Condition)]


def _sides(terms: list[Term], c: Condition, other: Condition) -> Choice:
    """The terms with ``c``, those with ``other``, which excludes ``c``, and the rest."""
    yes = [(without(p, c), k) for p, k in terms if c in p]
    no = [(without(p, other), k) for p, k in terms if other in p]
    return Choice(c, yes, no, [t for t in terms if c not in t[0] and other not in t[0]])


def _guarded(terms: list[Term]) -> tuple[Condition, Choice] | None:
    """Two conditions that exclude each other, of which every term has one: where either holds, and the choice by the first."""
    conditions = _conditions_of(terms) if len(terms) > 1 else []
    for c in (c for c in conditions if c.holds):
        for other in conditions:
            guard = either(c, other)
            if guard is not None and all((c in powers) != (other in powers) for powers, _ in terms):
                return guard, _sides(terms, c, other)
    return None


def _without_common(choice: Choice) -> tuple[Choice, list[Term]]:
    """A choice between numbers, and what both sides have in common; the choice and 1 if its sides are no multiples."""
    ratio = ratio_of(choice.yes, choice.no) if len(choice.yes) == len(choice.no) else None
    if ratio is None:
        return choice, list(ONE)
    return Choice(choice.condition, [({}, ratio)], list(ONE), []), choice.no


def _unequal(terms: list[Term]) -> Unequal | None:
    """``1 - [c = j]`` as ``[c != j]``."""
    if len(terms) != 2 or ({}, Fraction(1)) not in terms:
        return None
    ((powers, c),) = [t for t in terms if t != ({}, Fraction(1))]
    hot = next(iter(powers))
    return Unequal(hot) if c == -1 and len(powers) == 1 and isinstance(hot, Delta) else None


def _product_of_sums(terms: list[Term]) -> ProductOfSums | None:
    """``u + v + k*u*b + k*v*b`` as ``(1 + k*b)*(u + v)``: if ``u + v`` is a difference, it is taken before multiplying."""
    if len(terms) < 4 or len(terms) % 2:
        return None
    counts = Counter(fe for powers, _ in terms for fe in powers.items())
    halves = [fe for fe, n in counts.items() if n == len(terms) // 2]
    for factor, e in sorted(halves, key=lambda fe: (factor_order(fe[0]), fe[1])):
        held = [(without(p, factor), c) for p, c in terms if p.get(factor) == e]
        rest = [(p, c) for p, c in terms if factor not in p]
        ratio = ratio_of(held, rest) if len(held) == len(rest) == len(terms) // 2 else None
        if ratio is not None:
            return ProductOfSums([({}, Fraction(1)), ({factor: e}, ratio)], rest)
    return None
