"""Flat terms: the engine's one form of an expression.

An expression is a sum of terms, ``{Mono: coefficient}``; a term is a product of atoms with exponents, summed over the
indices that it binds. Linearity, sums of sums and products of sums need no rule, and equal expressions are equal objects.

Bound indices exist only inside stored terms, as integers (locally nameless): :func:`open_mono` gives them names that are
fresh, :func:`close` takes names away and puts the term in canonical form. Free indices are strings.

Atoms are named tuples because they are hashed and compared more than anything else. Tuples of two classes with the same
fields would be equal, so each class has a ``tag`` of its own; it is never passed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from fractions import Fraction
from functools import lru_cache
from itertools import count, permutations, product
from typing import Any, NamedTuple, TypeVar

from derive.functions import COMPARISONS, ORDERS

Exponent = int | Fraction
#: A key to sort by; such tuples are only ever compared with others of their kind.
Order = tuple[Any, ...]


class Lookup(NamedTuple):
    """An index read from an integer tensor."""

    name: str
    index: tuple[Index, ...]  # type: ignore[assignment]  # hides tuple.index, which nothing here calls
    tag: str = "lookup"


class Hole(NamedTuple):
    """The slot of a tensor over which an :class:`Extremum` is taken."""

    axis: str
    tag: str = "hole"


Index = str | int | Lookup | Hole


class Read(NamedTuple):
    """One element of a tensor; a scalar has no index."""

    name: str
    index: tuple[Index, ...] = ()  # type: ignore[assignment]  # as in Lookup
    tag: str = "read"


class Size(NamedTuple):
    """The length of an axis."""

    axis: str
    tag: str = "size"


class Irrational(NamedTuple):
    """A number that is no rational: ``pi``, or a small integer under a fractional exponent (2 ** (1/2))."""

    name: str
    tag: str = "irrational"


class Delta(NamedTuple):
    """1 where two indices are equal, else 0."""

    left: Index
    right: Index
    tag: str = "delta"


class Condition(NamedTuple):
    """1 where the comparison of two plain arguments holds, or where it does not, else 0.

    NaN compares with nothing: ``a <= 0`` that does not hold is more than ``a > 0``.
    """

    rel: str
    left: Argument
    right: Argument
    holds: bool = True
    tag: str = "condition"

    @property
    def orders(self) -> frozenset[str]:
        """How the two sides stand to each other where this is 1."""
        return COMPARISONS[self.rel] if self.holds else ORDERS - COMPARISONS[self.rel]


class Function(NamedTuple):
    """An elementwise function of plain arguments."""

    head: str
    args: tuple[Argument, ...]
    tag: str = "function"


class Extremum(NamedTuple):
    """The largest (or smallest) element of a tensor over its :class:`Hole` slots."""

    head: str
    of: Read
    tag: str = "extremum"


Argument = Read | Fraction
Atom = Read | Size | Irrational | Delta | Condition | Function | Extremum


class Mono(NamedTuple):
    """A product of atoms with exponents, summed over its bound indices; ``bound`` holds their axes."""

    factors: tuple[tuple[Atom, Exponent], ...]
    bound: tuple[str, ...] = ()


class Opened(NamedTuple):
    """A term whose bound indices have names."""

    factors: dict[Atom, Exponent]
    bound: tuple[str, ...]


ONE = Mono(())


class Sum:
    """An immutable, hashable sum of terms."""

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
            out[m] = out.get(m, Fraction(0)) + c
        return Sum(out)

    def __neg__(self) -> Sum:
        return Sum({m: -c for m, c in self.terms.items()})

    def __sub__(self, other: Sum) -> Sum:
        return self + -other

    def __mul__(self, other: Sum) -> Sum:
        return total(multiply(a, b).scaled(c * d) for a, c in self.terms.items() for b, d in other.terms.items())

    def scaled(self, by: Fraction | int) -> Sum:
        """The expression times a number."""
        return Sum({m: c * by for m, c in self.terms.items()})

    @property
    def single(self) -> tuple[Mono, Fraction] | None:
        """The only term with its coefficient, if there is just one."""
        return next(iter(self.terms.items())) if len(self.terms) == 1 else None

    @property
    def atom(self) -> Atom | None:
        """The atom that the expression is, if it is nothing else."""
        only = self.single
        if only and only[1] == 1 and not only[0].bound and len(only[0].factors) == 1:
            atom, e = only[0].factors[0]
            return atom if e == 1 else None
        return None


class Closed(NamedTuple):
    """A term in canonical form with its coefficient; no ``mono`` where the product is zero."""

    mono: Mono | None
    coefficient: Fraction

    def scaled(self, by: Fraction | int) -> Closed:
        return Closed(self.mono, self.coefficient * by)


def total(parts: Iterable[Closed]) -> Sum:
    """The sum of terms, equal ones collected."""
    out: dict[Mono, Fraction] = {}
    for mono, coefficient in parts:
        if mono is not None:
            out[mono] = out.get(mono, Fraction(0)) + coefficient
    return Sum(out)


# ---- indices ------------------------------------------------------------------------------------------------------------

_fresh = count()


def fresh(axis: str) -> str:
    """An index of that axis which occurs nowhere else; it never survives :func:`close`."""
    return f"{axis_of(axis)}'{next(_fresh)}"


def axis_of(index: str) -> str:
    """The axis of an index: ``n``, ``n'`` and ``n'12`` run over ``n``."""
    return index.split("'", 1)[0]


def map_index(index: Index, to: Callable[[str | int], Index]) -> Index:
    """The index with every name or number in it changed, inside lookups too."""
    if isinstance(index, (str, int)):
        return to(index)
    if isinstance(index, Lookup):
        return Lookup(index.name, tuple(map_index(i, to) for i in index.index))
    return index


def map_atom(atom: Atom, to: Callable[[str | int], Index]) -> Atom:
    """The atom with every index changed."""
    if isinstance(atom, Read):
        return Read(atom.name, tuple(map_index(i, to) for i in atom.index))
    if isinstance(atom, Delta):
        return delta(map_index(atom.left, to), map_index(atom.right, to))
    if isinstance(atom, (Size, Irrational)):
        return atom
    if isinstance(atom, Function):
        return Function(atom.head, tuple(_map_argument(a, to) for a in atom.args))
    if isinstance(atom, Condition):
        return atom._replace(left=_map_argument(atom.left, to), right=_map_argument(atom.right, to))
    of = map_atom(atom.of, to)
    assert isinstance(of, Read)
    return Extremum(atom.head, of)


def _map_argument(argument: Argument, to: Callable[[str | int], Index]) -> Argument:
    if isinstance(argument, Fraction):
        return argument
    return Read(argument.name, tuple(map_index(i, to) for i in argument.index))


def delta(left: Index, right: Index) -> Delta:
    """``[left = right]``; the same atom as ``[right = left]``."""
    return Delta(left, right) if index_order(left) <= index_order(right) else Delta(right, left)


def negated(condition: Condition) -> Condition:
    """``[not c]``."""
    other = {"==": "!=", "!=": "=="}.get(condition.rel)
    return condition._replace(rel=other) if other else condition._replace(holds=not condition.holds)


def slots(atom: Atom) -> Iterator[Index]:
    """The indices that the atom mentions at its top level (a lookup counts as one)."""
    if isinstance(atom, Read):
        yield from atom.index
    elif isinstance(atom, Delta):
        yield atom.left
        yield atom.right
    elif isinstance(atom, Function):
        for a in atom.args:
            if isinstance(a, Read):
                yield from a.index
    elif isinstance(atom, Condition):
        for a in (atom.left, atom.right):
            if isinstance(a, Read):
                yield from a.index
    elif isinstance(atom, Extremum):
        yield from atom.of.index


def leaves(index: Index) -> Iterator[str | int]:
    """The names and numbers in an index, those inside lookups too."""
    if isinstance(index, (str, int)):
        yield index
    elif isinstance(index, Lookup):
        for i in index.index:
            yield from leaves(i)


@lru_cache(maxsize=200_000)
def atom_indices(atom: Atom) -> frozenset[str | int]:
    """Every index in the atom, those inside lookups too."""
    return frozenset(leaf for slot in slots(atom) for leaf in leaves(slot))


def free_names(mono: Mono) -> frozenset[str]:
    """The free indices of a term."""
    return frozenset(i for atom, _ in mono.factors for i in atom_indices(atom) if isinstance(i, str))


def sum_indices(expr: Sum) -> set[str]:
    """The free indices of an expression."""
    return {i for mono in expr.terms for i in free_names(mono)}


def atom_reads(atom: Atom) -> Iterator[str]:
    """The names of the tensors that an atom reads."""
    if isinstance(atom, Read):
        yield atom.name
    elif isinstance(atom, Function):
        yield from (a.name for a in atom.args if isinstance(a, Read))
    elif isinstance(atom, Condition):
        yield from (a.name for a in (atom.left, atom.right) if isinstance(a, Read))
    elif isinstance(atom, Extremum):
        yield atom.of.name
    for slot in slots(atom):
        yield from _lookup_names(slot)


def _lookup_names(index: Index) -> Iterator[str]:
    if isinstance(index, Lookup):
        yield index.name
        for i in index.index:
            yield from _lookup_names(i)


def sum_reads(expr: Sum) -> frozenset[str]:
    """The names of the tensors that an expression reads."""
    if expr._reads is None:
        expr._reads = frozenset(name for mono in expr.terms for atom, _ in mono.factors for name in atom_reads(atom))
    return expr._reads


# ---- order --------------------------------------------------------------------------------------------------------------


def index_order(index: Index) -> Order:
    if isinstance(index, int):
        return ("0", f"{index:03}")
    if isinstance(index, str):
        return ("1", index)
    if isinstance(index, Hole):
        return ("2", index.axis)
    return ("3", index.name, *(part for i in index.index for part in index_order(i)))


@lru_cache(maxsize=200_000)
def atom_order(atom: Atom) -> Order:
    if isinstance(atom, Read):
        return ("read", atom.name, *(p for i in atom.index for p in index_order(i)))
    if isinstance(atom, (Size, Irrational)):
        return (atom.tag, atom[0])
    if isinstance(atom, Delta):
        return ("delta", *index_order(atom.left), *index_order(atom.right))
    if isinstance(atom, Function):
        return ("function", atom.head, *(p for a in atom.args for p in _argument_order(a)))
    if isinstance(atom, Condition):
        return ("condition", atom.rel, atom.holds, *_argument_order(atom.left), *_argument_order(atom.right))
    return ("extremum", atom.head, *atom_order(atom.of))


def _argument_order(argument: Argument) -> Order:
    return (str(argument),) if isinstance(argument, Fraction) else atom_order(argument)


def _factor_order(factor: tuple[Atom, Exponent]) -> Order:
    return (atom_order(factor[0]), factor[1])


@lru_cache(maxsize=200_000)
def mono_order(mono: Mono) -> Order:
    return (len(mono.bound), tuple(_factor_order(f) for f in mono.factors))


# ---- open, multiply, close ----------------------------------------------------------------------------------------------


def open_mono(mono: Mono, name: Callable[[str], str] = fresh) -> Opened:
    """The term with names for its bound indices."""
    if not mono.bound:
        return Opened(dict(mono.factors), ())
    names = tuple(name(axis) for axis in mono.bound)
    return Opened(_renamed(dict(mono.factors), dict(enumerate(names))), names)


def _rename(atom: Atom, to: Mapping[str | int, Index]) -> Atom:
    return map_atom(atom, lambda i: to.get(i, i))


def _renamed(factors: Mapping[Atom, Exponent], to: Mapping[str | int, Index]) -> dict[Atom, Exponent]:
    """The product with indices renamed one to one, so that no two factors become equal."""
    return {_rename(a, to): e for a, e in factors.items()}


def whole(e: Exponent) -> Exponent:
    """The exponent as an ``int`` where it is one."""
    return int(e) if e.denominator == 1 else e


_Key = TypeVar("_Key")


def times(factors: dict[_Key, Exponent], atom: _Key, exponent: Exponent = 1) -> None:
    """Multiply a product of factors by one more, in place."""
    e = whole(factors.get(atom, 0) + exponent)
    if e:
        factors[atom] = e
    else:
        factors.pop(atom, None)


@lru_cache(maxsize=50_000)
def multiply(a: Mono, b: Mono) -> Closed:
    """The product of two terms; their bound indices stay apart, for each is opened with fresh names."""
    left, right = open_mono(a), open_mono(b)
    factors = dict(left.factors)
    for atom, e in right.factors.items():
        times(factors, atom, e)
    return close(factors, (*left.bound, *right.bound))


def substitute(factors: dict[Atom, Exponent], to: Mapping[str, Index]) -> dict[Atom, Exponent]:
    """The product with named indices replaced, all at once; factors that become equal are collected."""
    out: dict[Atom, Exponent] = {}
    for atom, e in factors.items():
        times(out, _rename(atom, to), e)  # type: ignore[arg-type]  # a mapping of names alone will do
    return out


def close(factors: dict[Atom, Exponent], bound: Iterable[str]) -> Closed:
    """Take the names of the bound indices away: collapse deltas, settle conditions and numbers, order canonically.

    ``sum_k delta(k, j) f(k) = f(j)``; an index that no factor uses sums to its size; ``[c]**2 = [c]``;
    ``[c][not c] = 0``. Returns no term at all where the product is zero.
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
    """A delta that can go: with the bound index that it determines and its value, or None where both sides are the same."""
    for atom in factors:
        if isinstance(atom, Delta):
            if atom.left == atom.right:
                return atom, None
            for index, other in ((atom.left, atom.right), (atom.right, atom.left)):
                # An index inside the other side, as in [k = t[k]], is not determined by it.
                if isinstance(index, str) and index in names and index not in set(leaves(other)):
                    return atom, (index, other)
    return None


def _settle(factors: dict[Atom, Exponent]) -> bool:
    """``[c]**2 = [c]``, ``[a <= a] = 1``; False where the product is zero: ``[c][not c]``, ``[a < b][a == b]``, ``[a < a]``."""
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
    """Take whole powers of integer roots out of the factors: 2**(3/2) is 2 * 2**(1/2)."""
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
        return Mono(tuple(sorted(factors.items(), key=_factor_order)))
    order, ordered = canonical_order(factors, names, {n: axis_of(n) for n in names})
    return Mono(ordered, tuple(axis_of(n) for n in order))


def canonical_order(
    factors: Mapping[Atom, Exponent], names: Iterable[str], kind: Mapping[str, str]
) -> tuple[tuple[str, ...], tuple[tuple[Atom, Exponent], ...]]:
    """An order of the names that depends on nothing but how the factors use them and on each name's kind.

    Returns it with the factors in which the names are replaced by their positions.
    """
    best: tuple[Order, tuple[str, ...], tuple[tuple[Atom, Exponent], ...]] | None = None
    for choice in product(*(permutations(g) for g in _groups(factors, list(names), kind))):
        order = tuple(n for g in choice for n in g)
        ordered = tuple(sorted(_renamed(factors, {n: k for k, n in enumerate(order)}).items(), key=_factor_order))
        key = tuple(_factor_order(f) for f in ordered)
        if best is None or key < best[0]:
            best = (key, order, ordered)
    assert best is not None
    return best[1], best[2]


def _groups(factors: Mapping[Atom, Exponent], names: list[str], kind: Mapping[str, str]) -> list[list[str]]:
    """The names in classes that nothing but their spelling seems to tell apart: only these need be permuted."""
    signature: dict[str, Order] = {}
    for name in names:
        blur: dict[str | int, Index] = {**dict.fromkeys(names, "◦"), name: "•"}
        shape = sorted((atom_order(_rename(a, blur)), e) for a, e in factors.items() if name in atom_indices(a))
        signature[name] = (kind[name], tuple(shape))
    groups: dict[Order, list[str]] = {}
    for name in sorted(names, key=signature.__getitem__):
        groups.setdefault(signature[name], []).append(name)
    return list(groups.values())


# ---- small constructors -------------------------------------------------------------------------------------------------


def term(factors: Mapping[Atom, Exponent], bound: Iterable[str] = (), coefficient: Fraction | int = 1) -> Sum:
    """The sum of one term, its bound indices given by name."""
    mono, c = close(dict(factors), bound)
    return Sum() if mono is None else Sum({mono: c * coefficient})


def atom_sum(atom: Atom) -> Sum:
    """The expression that is one atom."""
    return term({atom: 1})


def number(value: Fraction | int) -> Sum:
    """The expression that is one number."""
    return Sum({ONE: Fraction(value)})


def rename_free(expr: Sum, to: Mapping[str, Index]) -> Sum:
    """Substitute free indices; bound ones have no names that could be captured."""

    def one(mono: Mono) -> Closed:
        opened = open_mono(mono)
        return close(substitute(opened.factors, to), opened.bound)

    return total(one(m).scaled(c) for m, c in expr.terms.items())
