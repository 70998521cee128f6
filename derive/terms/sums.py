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
from typing import NamedTuple, TypeVar

from derive.terms.atoms import (
    Argument,
    Atom,
    Condition,
    Delta,
    Exponent,
    Extremum,
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
    factor_order,
    fresh,
    index_order,
    leaves,
    map_atom,
    map_index,
    negated,
    rename,
    renamed,
    slots,
)
from derive.terms.canonical import canonical_order

__all__ = [
    "Argument",
    "Atom",
    "Closed",
    "Condition",
    "Delta",
    "Exponent",
    "Extremum",
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
    "open_mono",
    "rename_free",
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
            self._hash = hash(frozenset(self.terms.items()))
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


def whole(e: Exponent) -> Exponent:
    """The exponent, as an ``int`` where it is whole."""
    return int(e) if e.denominator == 1 else e


_Key = TypeVar("_Key")


def times(factors: dict[_Key, Exponent], atom: _Key, exponent: Exponent = 1) -> None:
    """Multiply a product in place by ``atom**exponent``."""
    e = whole(factors.get(atom, 0) + exponent)
    if e:
        factors[atom] = e
    else:
        factors.pop(atom, None)


@lru_cache(maxsize=50_000)
def multiply(a: Mono, b: Mono) -> Closed:
    """The product of two monomials. Each is opened with fresh names, so that bound indices of the two stay distinct."""
    left, right = open_mono(a), open_mono(b)
    factors = dict(left.factors)
    for atom, e in right.factors.items():
        times(factors, atom, e)
    return close(factors, (*left.bound, *right.bound))


def substitute(factors: dict[Atom, Exponent], to: Mapping[str, Index]) -> dict[Atom, Exponent]:
    """The product with all named indices replaced simultaneously. Factors that become equal are collected."""
    out: dict[Atom, Exponent] = {}
    for atom, e in factors.items():
        times(out, rename(atom, to), e)  # type: ignore[arg-type]  # its keys are names only
    return out


def close(factors: dict[Atom, Exponent], bound: Iterable[str]) -> Closed:
    """A product, summed over the named indices ``bound``, in canonical form. ``factors`` may be changed in place.

    Deltas collapse: ``sum_k delta(k, j) f(k) = f(j)``. A sum over an index that no factor has becomes the length of its axis.
    Conditions are settled: ``[c]**2 = [c]`` and ``[c][not c] = 0``. Where the product is 0, the result has no monomial.
    """
    names = list(bound)
    factors, names = _collapse(factors, names)
    if not _settle(factors):
        return Closed(None, Fraction(0))
    coefficient = _numbers(factors)
    used = {i for atom in factors for i in atom_indices(atom)}
    for name in [n for n in names if n not in used]:
        names.remove(name)
        times(factors, Size(axis_of(name)), 1)
    return Closed(_canonical(factors, names), coefficient)


def _collapse(factors: dict[Atom, Exponent], names: list[str]) -> tuple[dict[Atom, Exponent], list[str]]:
    """``sum_k delta(k, j) f(k) = f(j)``, until no delta determines a bound index."""
    while (found := _determined(factors, names)) is not None:
        atom, pair = found
        factors = {a: e for a, e in factors.items() if a is not atom}
        if pair is not None:
            names = [n for n in names if n != pair[0]]
            factors = substitute(factors, {pair[0]: pair[1]})
    return factors, names


def _determined(factors: dict[Atom, Exponent], names: list[str]) -> tuple[Delta, tuple[str, Index] | None] | None:
    """A delta that can collapse, with the bound index that it determines and that index's value.

    The pair is None where both sides of the delta are the same. The result is None where no delta can collapse.
    """
    for atom in factors:
        if isinstance(atom, Delta):
            if atom.left == atom.right:
                return atom, None
            for index, other in ((atom.left, atom.right), (atom.right, atom.left)):
                # [k = t[k]] does not determine k.
                if isinstance(index, str) and index in names and index not in set(leaves(other)):
                    return atom, (index, other)
    return None


def _settle(factors: dict[Atom, Exponent]) -> bool:
    """Apply ``[c]**2 = [c]`` and ``[a <= a] = 1`` in place. False where the product is 0: ``[c][not c]``, ``[a < a]``."""
    for atom in list(factors):
        if isinstance(atom, (Delta, Condition)):
            factors[atom] = 1
        if isinstance(atom, Condition):
            if any(_exclude(atom, other) for other in factors):
                return False
            if atom.left == atom.right:
                if "=" not in atom.orders:
                    return False
                del factors[atom]
    return True


def _exclude(a: Condition, b: Atom) -> bool:
    return isinstance(b, Condition) and (a.left, a.right) == (b.left, b.right) and not a.orders & b.orders


def _numbers(factors: dict[Atom, Exponent]) -> Fraction:
    """Take whole powers of integers out of the factors, and return their product: ``2**(3/2)`` is ``2 * 2**(1/2)``."""
    coefficient = Fraction(1)
    for atom in list(factors):
        if isinstance(atom, Irrational) and atom.name.isdigit():
            e = Fraction(factors.pop(atom))
            whole = e.numerator // e.denominator
            coefficient *= Fraction(int(atom.name)) ** whole
            if e != whole:
                factors[atom] = e - whole
    return coefficient


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

    def one(mono: Mono) -> Closed:
        opened = open_mono(mono)
        return close(substitute(opened.factors, to), opened.bound)

    return total(one(m).scaled(c) for m, c in expr.terms.items())
