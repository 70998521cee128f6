"""Flat terms: the engine's only form of an expression.

An expression is a sum of terms, ``{Mono: coefficient}``. A monomial (:class:`Mono`) is a product of atoms to powers, summed
over its bound indices. So linearity, sums of sums and products of sums need no rule, and equal expressions compare equal.

A free index is a string. A bound index is an integer (locally nameless). :func:`open_mono` gives fresh names to the bound
indices of a monomial; :func:`close` takes these names away, and puts the monomial in canonical form.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from derive.terms.atoms import (
    Argument,
    Atom,
    Condition,
    Delta,
    Exponent,
    Extremum,
    Form,
    Function,
    Hole,
    Index,
    Irrational,
    Lookup,
    Order,
    Read,
    Size,
    atom_indices,
    atom_order,
    atom_reads,
    axis_of,
    delta,
    either,
    factor_order,
    fresh,
    index_order,
    leaves,
    map_atom,
    map_index,
    negated,
    renamed,
    row,
    slots,
)
from derive.terms.canonical import canonical_order
from derive.terms.settled import collapsed, numbers_out, settle, substitute, times, whole

__all__ = [
    "Argument",
    "Atom",
    "Closed",
    "Condition",
    "Delta",
    "Exponent",
    "Extremum",
    "Form",
    "Function",
    "Hole",
    "Index",
    "Irrational",
    "Lookup",
    "Mono",
    "ONE",
    "Opened",
    "Order",
    "Read",
    "Size",
    "Sum",
    "atom_indices",
    "atom_order",
    "atom_reads",
    "atom_sum",
    "axis_of",
    "canonical_order",
    "close",
    "delta",
    "either",
    "free_names",
    "fresh",
    "index_order",
    "leaves",
    "map_atom",
    "map_index",
    "mono_order",
    "multiply",
    "negated",
    "number",
    "open_again",
    "open_mono",
    "rename_free",
    "row",
    "slots",
    "substitute",
    "sum_indices",
    "sum_reads",
    "term",
    "times",
    "total",
    "whole",
]


class Mono(NamedTuple):
    """A monomial: a product of atoms to powers, summed over its bound indices. ``bound`` has the axis of each of them."""

    factors: tuple[tuple[Atom, Exponent], ...]
    bound: tuple[str, ...] = ()


class Opened(NamedTuple):
    """A monomial whose bound indices have names."""

    factors: dict[Atom, Exponent]
    bound: tuple[str, ...]


ONE = Mono(())


class Sum:
    """An immutable, hashable sum of monomials with coefficients."""

    __slots__ = ("terms", "_hash", "_reads")

    def __init__(self, terms: Mapping[Mono, Fraction | int] = {}):
        self.terms: dict[Mono, Fraction] = {m: c if type(c) is Fraction else Fraction(c) for m, c in terms.items() if c}
        self._hash: int | None = None
        self._reads: frozenset[str] | None = None

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = hash(frozenset(self.terms))  # a fraction's hash takes longer than to compare it now and then
        return self._hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sum) and self.terms == other.terms

    def __bool__(self) -> bool:
        return bool(self.terms)

    def __len__(self) -> int:
        return len(self.terms)

    def __iter__(self) -> Iterator[tuple[Mono, Fraction]]:
        return iter(sorted(self.terms.items(), key=lambda item: mono_order(item[0])))

    def __repr__(self) -> str:
        return f"Sum({self.terms})"

    def __add__(self, other: Sum) -> Sum:
        out = dict(self.terms)
        for m, c in other.terms.items():
            out[m] = out[m] + c if m in out else c
        return Sum(out)

    def __neg__(self) -> Sum:
        return Sum({m: -c for m, c in self.terms.items()})

    def __sub__(self, other: Sum) -> Sum:
        return self + -other

    def __mul__(self, other: Sum) -> Sum:
        out: dict[Mono, Fraction] = {}
        for a, c in self.terms.items():
            for b, d in other.terms.items():
                mono, e = multiply(a, b)
                if mono is not None:
                    scale = c if d == 1 else d if c == 1 else c * d
                    e = scale if e == 1 else e * scale
                    out[mono] = out[mono] + e if mono in out else e
        return Sum(out)

    def scaled(self, by: Fraction | int) -> Sum:
        """The expression times a number."""
        return Sum({m: c * by for m, c in self.terms.items()})

    @property
    def single(self) -> tuple[Mono, Fraction] | None:
        """The only monomial and its coefficient; None for a sum of no or several terms."""
        return next(iter(self.terms.items())) if len(self.terms) == 1 else None

    @property
    def atom(self) -> Atom | None:
        """The only atom, where the expression is a single atom; None for any other expression."""
        only = self.single
        if only and only[1] == 1 and not only[0].bound and len(only[0].factors) == 1:
            atom, e = only[0].factors[0]
            return atom if e == 1 else None
        return None


class Closed(NamedTuple):
    """A coefficient and a monomial in canonical form; ``mono`` is None where the product is 0."""

    mono: Mono | None
    coefficient: Fraction

    def scaled(self, by: Fraction | int) -> Closed:
        return Closed(self.mono, self.coefficient * by if self.coefficient != 1 else Fraction(by))


def total(parts: Iterable[Closed]) -> Sum:
    """The sum of terms, with equal monomials collected."""
    out: dict[Mono, Fraction] = {}
    for mono, coefficient in parts:
        if mono is not None:
            out[mono] = out[mono] + coefficient if mono in out else coefficient
    return Sum(out)


def free_names(mono: Mono) -> frozenset[str]:
    """The free indices of a monomial."""
    return frozenset(i for atom, _ in mono.factors for i in atom_indices(atom) if isinstance(i, str))


def sum_indices(expr: Sum) -> set[str]:
    """The free indices of an expression."""
    return {i for mono in expr.terms for i in free_names(mono)}


def sum_reads(expr: Sum) -> frozenset[str]:
    """The names of the tensors that an expression reads."""
    if expr._reads is None:
        expr._reads = frozenset(name for mono in expr.terms for atom, _ in mono.factors for name in atom_reads(atom))
    return expr._reads


@lru_cache(maxsize=200_000)
def mono_order(mono: Mono) -> Order:
    return (len(mono.bound), tuple(factor_order(f) for f in mono.factors))


# ---- open, multiply, close ----------------------------------------------------------------------------------------------


def open_mono(mono: Mono, name: Callable[[str], str] = fresh) -> Opened:
    """The monomial with a name for each bound index; ``name`` maps an axis to an index of it."""
    if not mono.bound:
        return Opened(dict(mono.factors), ())
    names = tuple(name(axis) for axis in mono.bound)
    return Opened(renamed(dict(mono.factors), dict(enumerate(names))), names)


@lru_cache(maxsize=50_000)
def _named(mono: Mono, mark: str) -> tuple[tuple[tuple[Atom, Exponent], ...], tuple[str, ...]]:
    names = tuple(f"{axis}'.{mark}{k}" for k, axis in enumerate(mono.bound))
    return tuple(renamed(dict(mono.factors), dict(enumerate(names))).items()), names


def open_again(mono: Mono, mark: str) -> Opened:
    """The monomial opened under the same names each time, so that caches know what is made of it.

    The names are the caller's own, by its ``mark``, and nothing that it returns may have them: no author's index has a dot.
    """
    if not mono.bound:
        return Opened(dict(mono.factors), ())
    factors, names = _named(mono, mark)
    return Opened(dict(factors), names)


@lru_cache(maxsize=50_000)
def multiply(a: Mono, b: Mono) -> Closed:
    """The product of two monomials. Each is opened with names of its own, so that bound indices of the two stay distinct."""
    left, right = open_again(a, "l"), open_again(b, "r")
    for atom, e in right.factors.items():
        times(left.factors, atom, e)
    return close(left.factors, (*left.bound, *right.bound))


def close(factors: dict[Atom, Exponent], bound: Iterable[str]) -> Closed:
    """A product, summed over the named indices ``bound``, in canonical form. ``factors`` may be changed in place.

    Deltas collapse: ``sum_k delta(k, j) f(k) = f(j)``. A sum over an index that no factor has becomes the length of its axis.
    Conditions are settled: ``[c]**2 = [c]`` and ``[c][not c] = 0``. Where the product is 0, the result has no monomial.
    """
    names = list(bound)
    factors, names = collapsed(factors, names)
    if not settle(factors):
        return Closed(None, Fraction(0))
    coefficient = numbers_out(factors)
    used = {i for atom in factors for i in atom_indices(atom)}
    for name in [n for n in names if n not in used]:
        names.remove(name)
        times(factors, Size(axis_of(name)), 1)
    return Closed(_canonical(factors, names), coefficient)


def _canonical(factors: dict[Atom, Exponent], names: list[str]) -> Mono:
    if not names:
        return Mono(tuple(sorted(factors.items(), key=factor_order)))
    if len(names) == 1:
        only = renamed(factors, {names[0]: 0})
        return Mono(tuple(sorted(only.items(), key=factor_order)), (axis_of(names[0]),))
    order, ordered = canonical_order(factors, names, {n: axis_of(n) for n in names})
    return Mono(ordered, tuple(axis_of(n) for n in order))


# ---- small constructors -------------------------------------------------------------------------------------------------


def term(factors: Mapping[Atom, Exponent], bound: Iterable[str] = (), coefficient: Fraction | int = 1) -> Sum:
    """A single term in canonical form; ``bound`` are the names of the indices to sum over."""
    mono, c = close(dict(factors), bound)
    return Sum() if mono is None else Sum({mono: c * coefficient})


def atom_sum(atom: Atom) -> Sum:
    """An atom as an expression."""
    return term({atom: 1})


def number(value: Fraction | int) -> Sum:
    """A number as an expression."""
    return Sum({ONE: Fraction(value)})


def rename_free(expr: Sum, to: Mapping[str, Index]) -> Sum:
    """Substitute free indices. Bound indices have no names, so nothing can be captured."""
    changed = tuple((i, j) for i, j in to.items() if i != j)
    return total(_substituted(m, changed).scaled(c) for m, c in expr.terms.items()) if changed else expr


@lru_cache(maxsize=50_000)
def _substituted(mono: Mono, to: tuple[tuple[str, Index], ...]) -> Closed:
    opened = open_again(mono, "s")
    return close(substitute(opened.factors, dict(to)), opened.bound)
