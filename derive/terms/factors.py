"""Terms as products of factors, and the common factors of several terms.

A factor is an atom, or a sum over a connected group of bound indices (:class:`Inner`).
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from derive.terms.atoms import connected
from derive.terms.sums import (
    Atom,
    Delta,
    Exponent,
    Irrational,
    Mono,
    Order,
    Read,
    Size,
    Sum,
    atom_indices,
    atom_order,
    close,
    free_names,
    open_again,
    term,
    times,
    whole,
)


class Inner(NamedTuple):
    """A sum (or mean) over bound indices as a single factor. Every atom of ``mono`` has one of its bound indices."""

    mono: Mono
    kind: str = "sum"
    tag: str = "inner"


Factor = Atom | Inner
Powers = dict[Factor, Exponent]


@lru_cache(maxsize=50_000)
def split(mono: Mono) -> Mapping[Factor, Exponent]:
    """A term as a product of atoms and inner sums: an :class:`Inner` for every connected group of bound indices."""
    groups = connected((a for a, _ in mono.factors), range(len(mono.bound)))
    if len(groups) == 1:  # in canonical form, as factors without a bound index have no part in the order of bound indices
        inside = tuple((a, e) for a, e in mono.factors if not atom_indices(a).isdisjoint(groups[0]))
        return {Inner(Mono(inside, mono.bound)): 1, **{a: whole(e) for a, e in mono.factors if (a, e) not in inside}}
    return _apart(mono) if groups else {a: whole(e) for a, e in mono.factors}


def _apart(mono: Mono) -> Powers:
    """A term with several groups of bound indices: a sum over two groups is the product of two sums."""
    opened = open_again(mono, "f")
    groups = connected(opened.factors, opened.bound)
    out: Powers = {}
    taken: set[Atom] = set()
    for group in groups:
        inside = {a: e for a, e in opened.factors.items() if atom_indices(a) & group}
        taken |= set(inside)
        scaled = close(inside, sorted(group))
        assert scaled.mono is not None and scaled.coefficient == 1
        times(out, Inner(scaled.mono), 1)
    for atom, e in opened.factors.items():
        if atom not in taken:
            times(out, atom, e)
    return out


def product_of(powers: Mapping[Factor, Exponent]) -> Sum:
    """The flat form of a product of atoms and inner sums, the reverse of :func:`split`."""
    out = term({f: e for f, e in powers.items() if not isinstance(f, Inner)})
    for f, e in powers.items():
        if isinstance(f, Inner):
            for _ in range(int(e)):
                out = out * Sum({f.mono: Fraction(1)})
    return out


@lru_cache(maxsize=50_000)
def factor_indices(factor: Factor) -> frozenset[str]:
    """The free indices of a factor."""
    if isinstance(factor, Inner):
        return free_names(factor.mono)
    return frozenset(i for i in atom_indices(factor) if isinstance(i, str))


def factor_order(factor: Factor) -> Order:
    if isinstance(factor, Inner):
        return ("z", len(factor.mono.bound), tuple(atom_order(a) for a, _ in factor.mono.factors))
    return ("a", 0, atom_order(factor))


def names_first(factor: Factor) -> Order:
    """A sort key: reads before all other factors. Sharing prefers the last: a comparison or a function costs operations."""
    return (not isinstance(factor, Read), factor_order(factor))


Term = tuple[Powers, Fraction]


def sign_of(e: Exponent) -> int:
    return 1 if e > 0 else -1


def without(powers: Mapping[Factor, Exponent], factor: Factor) -> Powers:
    """The product with one factor left out."""
    return {f: e for f, e in powers.items() if f != factor}


def roots_down(powers: Powers, coefficient: Fraction) -> tuple[Powers, Fraction]:
    """``2**(1/2)/2 = 1/2**(1/2)``."""
    out = dict(powers)
    for f, e in powers.items():
        if isinstance(f, Irrational) and f.name.isdigit() and coefficient.denominator % int(f.name) == 0 and e > 0:
            coefficient *= int(f.name)
            out[f] = e - 1
    return out, coefficient


def as_means(powers: Powers) -> Powers:
    """``sum[n](x)/size(n) = mean[n](x)``, for a sum that is no contraction."""
    out = dict(powers)
    for f, e in powers.items():
        if isinstance(f, Inner) and e == 1 and len(set(f.mono.bound)) == len(f.mono.bound) and _is_plain(f.mono):
            sizes = [Size(axis) for axis in f.mono.bound]
            if all(out.get(size, 0) <= -1 for size in sizes):
                del out[f]
                for size in sizes:
                    times(out, size, 1)
                times(out, Inner(f.mono, "mean"), 1)
    return out


class Loop(NamedTuple):
    """What two terms must agree in to be merged into one reduction: factors outside, kind, bound axes and free indices."""

    outside: frozenset[tuple[Factor, Exponent]]
    kind: str
    bound: tuple[str, ...]
    free: frozenset[str]


def loop_of(powers: Powers) -> Loop | None:
    """The loop of a term with a single inner sum that is a reduction; None for any other term."""
    inner = [f for f in powers if isinstance(f, Inner)]
    if len(inner) != 1 or powers[inner[0]] != 1:
        return None
    mono = inner[0].mono
    if len(set(mono.bound)) < len(mono.bound) or not _is_plain(mono):
        return None
    outside = frozenset((f, e) for f, e in powers.items() if f != inner[0])
    return Loop(outside, inner[0].kind, tuple(sorted(mono.bound)), free_names(mono))


def _is_plain(mono: Mono) -> bool:
    """Whether the monomial is a reduction: one factor has every index, and no factor is a delta."""
    every = frozenset().union(*(atom_indices(a) for a, _ in mono.factors))
    return any(atom_indices(a) == every for a, _ in mono.factors) and not any(isinstance(a, Delta) for a, _ in mono.factors)


def ratio_of(one: list[Term], other: list[Term]) -> Fraction | None:
    """The number ``r`` for which ``one`` is ``r*other``, whatever the order of their terms; None if there is none."""
    known = {frozenset(powers.items()): c for powers, c in other}
    ratios = {c / known[key] if (key := frozenset(powers.items())) in known else None for powers, c in one}
    return ratios.pop() if len(ratios) == 1 else None


def shared_factors(terms: list[Term]) -> Powers:
    """The common monomial: every factor of which all terms have a power of one sign, to the power nearest to 0."""
    common = dict(terms[0][0])
    for powers, _ in terms[1:]:
        for f in list(common):
            e = powers.get(f)
            if e is None or sign_of(e) != sign_of(common[f]):
                del common[f]
            elif e != common[f]:
                common[f] = min(e, common[f]) if e > 0 else max(e, common[f])
    return common


def common_factors(terms: list[Term]) -> tuple[Powers, Fraction, list[Term]]:
    """The common monomial, the common number, and what is left of each term."""
    if len(terms) == 1:
        return dict(terms[0][0]), terms[0][1], [({}, Fraction(1))]
    common = shared_factors(terms)
    sizes = {abs(c) for _, c in terms}
    number = min(sizes) if len(sizes) == 1 else Fraction(1)
    if all(c < 0 for _, c in terms):
        number = -number
    rest: list[Term] = []
    for powers, c in terms:
        left = dict(powers)
        for f, e in common.items():
            times(left, f, -e)
        rest.append((left, c if number == 1 else c / number))
    return common, number, rest
