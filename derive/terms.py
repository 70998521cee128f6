"""Flat terms: the engine's one form of an expression.

An expression is a sum of terms, ``{Mono: coefficient}``; a term is a product of atoms with exponents, summed over the
indices that it binds. Linearity, sums of sums and products of sums need no rule, and equal expressions are equal objects.

Bound indices exist only inside stored terms, as integers (locally nameless): :func:`open_mono` gives them names that are
fresh, :func:`close` takes names away and puts the term in canonical form. Free indices are strings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from fractions import Fraction
from functools import lru_cache
from itertools import count, permutations, product
from typing import NamedTuple

from derive.functions import NEGATED

Exponent = int | Fraction


class Lookup(NamedTuple):
    """An index read from an integer tensor."""

    name: str
    index: tuple[Index, ...]
    tag: str = "lookup"


class Hole(NamedTuple):
    """The slot of a tensor over which an :class:`Extremum` is taken."""

    axis: str
    tag: str = "hole"


Index = str | int | Lookup | Hole


class Read(NamedTuple):
    name: str
    index: tuple[Index, ...] = ()
    tag: str = "read"


class Size(NamedTuple):
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
    """1 where the comparison of two plain arguments holds, else 0."""

    rel: str
    left: Argument
    right: Argument
    tag: str = "condition"


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

    __slots__ = ("terms", "_hash")

    def __init__(self, terms: Mapping[Mono, Fraction | int] = {}):
        self.terms: dict[Mono, Fraction] = {m: Fraction(c) for m, c in terms.items() if c}
        self._hash: int | None = None

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
        return total(multiply(a, b) * (c * d) for a, c in self.terms.items() for b, d in other.terms.items())

    def scaled(self, by: Fraction | int) -> Sum:
        return Sum({m: c * by for m, c in self.terms.items()})

    @property
    def single(self) -> tuple[Mono, Fraction] | None:
        """The only term with its coefficient, if there is just one."""
        return next(iter(self.terms.items())) if len(self.terms) == 1 else None


class _Scaled(NamedTuple):
    mono: Mono | None
    coefficient: Fraction

    def __mul__(self, by: object) -> _Scaled:  # type: ignore[override]
        assert isinstance(by, Fraction)
        return _Scaled(self.mono, self.coefficient * by)


def total(parts: Iterable[_Scaled]) -> Sum:
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
        return Condition(atom.rel, _map_argument(atom.left, to), _map_argument(atom.right, to))
    of = map_atom(atom.of, to)
    assert isinstance(of, Read)
    return Extremum(atom.head, of)


def _map_argument(argument: Argument, to: Callable[[str | int], Index]) -> Argument:
    if isinstance(argument, Fraction):
        return argument
    return Read(argument.name, tuple(map_index(i, to) for i in argument.index))


def delta(left: Index, right: Index) -> Delta:
    return Delta(left, right) if index_order(left) <= index_order(right) else Delta(right, left)


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


def _leaves(index: Index) -> Iterator[str | int]:
    if isinstance(index, (str, int)):
        yield index
    elif isinstance(index, Lookup):
        for i in index.index:
            yield from _leaves(i)


@lru_cache(maxsize=200_000)
def atom_indices(atom: Atom) -> frozenset[str | int]:
    """Every index in the atom, those inside lookups too."""
    return frozenset(leaf for slot in slots(atom) for leaf in _leaves(slot))


def free_names(mono: Mono) -> frozenset[str]:
    return frozenset(i for atom, _ in mono.factors for i in atom_indices(atom) if isinstance(i, str))


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


def sum_reads(expr: Sum) -> set[str]:
    return {name for mono in expr.terms for atom, _ in mono.factors for name in atom_reads(atom)}


# ---- order --------------------------------------------------------------------------------------------------------------


def index_order(index: Index) -> tuple[str, ...]:
    if isinstance(index, int):
        return ("0", f"{index:03}")
    if isinstance(index, str):
        return ("1", index)
    if isinstance(index, Hole):
        return ("2", index.axis)
    return ("3", index.name, *(part for i in index.index for part in index_order(i)))


@lru_cache(maxsize=200_000)
def atom_order(atom: Atom) -> tuple[str, ...]:
    if isinstance(atom, Read):
        return ("read", atom.name, *(p for i in atom.index for p in index_order(i)))
    if isinstance(atom, (Size, Irrational)):
        return (atom.tag, atom[0])
    if isinstance(atom, Delta):
        return ("delta", *index_order(atom.left), *index_order(atom.right))
    if isinstance(atom, Function):
        return ("function", atom.head, *(p for a in atom.args for p in _argument_order(a)))
    if isinstance(atom, Condition):
        return ("condition", atom.rel, *_argument_order(atom.left), *_argument_order(atom.right))
    return ("extremum", atom.head, *atom_order(atom.of))


def _argument_order(argument: Argument) -> tuple[str, ...]:
    return (str(argument),) if isinstance(argument, Fraction) else atom_order(argument)


def _factor_order(factor: tuple[Atom, Exponent]) -> tuple[object, ...]:
    return (atom_order(factor[0]), factor[1])


@lru_cache(maxsize=200_000)
def mono_order(mono: Mono) -> tuple[object, ...]:
    return (len(mono.bound), tuple(_factor_order(f) for f in mono.factors))


# ---- open, multiply, close ----------------------------------------------------------------------------------------------


def open_mono(mono: Mono, name: Callable[[str], str] = fresh) -> Opened:
    """The term with names for its bound indices."""
    if not mono.bound:
        return Opened(dict(mono.factors), ())
    names = tuple(name(axis) for axis in mono.bound)
    factors = {map_atom(a, lambda i: names[i] if isinstance(i, int) else i): e for a, e in mono.factors}
    return Opened(factors, names)


def times(factors: dict[Atom, Exponent], atom: Atom, exponent: Exponent = 1) -> None:
    """Multiply a product of factors by one more, in place."""
    e = factors.get(atom, 0) + exponent
    if isinstance(e, Fraction) and e.denominator == 1:
        e = int(e)
    if e:
        factors[atom] = e
    else:
        factors.pop(atom, None)


@lru_cache(maxsize=50_000)
def multiply(a: Mono, b: Mono) -> _Scaled:
    left, right = open_mono(a), open_mono(b)
    factors = dict(left.factors)
    for atom, e in right.factors.items():
        times(factors, atom, e)
    return close(factors, (*left.bound, *right.bound))


def substitute(factors: dict[Atom, Exponent], to: Mapping[str, Index]) -> dict[Atom, Exponent]:
    out: dict[Atom, Exponent] = {}
    for atom, e in factors.items():
        times(out, map_atom(atom, lambda i: to.get(i, i) if isinstance(i, str) else i), e)
    return out


def close(factors: dict[Atom, Exponent], bound: Iterable[str]) -> _Scaled:
    """Take the names of the bound indices away: collapse deltas, settle conditions and numbers, order canonically.

    ``sum_k delta(k, j) f(k) = f(j)``; an index that no factor uses sums to its size; ``[c]**2 = [c]``;
    ``[c][not c] = 0``. Returns no term at all where the product is zero.
    """
    names = list(bound)
    factors, names = _collapse(factors, names)
    if not _settle(factors):
        return _Scaled(None, Fraction(0))
    coefficient = _numbers(factors)
    used = {i for atom in factors for i in atom_indices(atom)}
    for name in [n for n in names if n not in used]:
        names.remove(name)
        times(factors, Size(axis_of(name)), 1)
    return _Scaled(_canonical(factors, names), coefficient)


def _collapse(factors: dict[Atom, Exponent], names: list[str]) -> tuple[dict[Atom, Exponent], list[str]]:
    while True:
        for atom in factors:
            if isinstance(atom, Delta):
                if atom.left == atom.right:
                    factors = {a: e for a, e in factors.items() if a is not atom}
                    break
                pair = _eliminated(atom, names)
                if pair is not None:
                    names.remove(pair[0])
                    rest = {a: e for a, e in factors.items() if a is not atom}
                    factors = substitute(rest, {pair[0]: pair[1]})
                    break
        else:
            return factors, names


def _eliminated(atom: Delta, names: list[str]) -> tuple[str, Index] | None:
    """The bound index that a delta determines, and its value."""
    for index, other in ((atom.left, atom.right), (atom.right, atom.left)):
        if isinstance(index, str) and index in names and index not in set(_leaves(other)):
            return index, other
    return None


def _settle(factors: dict[Atom, Exponent]) -> bool:
    """Make deltas and conditions idempotent; False where two exclude each other."""
    for atom in list(factors):
        if isinstance(atom, (Delta, Condition)):
            factors[atom] = 1
        if isinstance(atom, Condition):
            if Condition(NEGATED[atom.rel], atom.left, atom.right) in factors:
                return False
            if atom.left == atom.right:
                if atom.rel not in ("<=", ">=", "=="):
                    return False
                del factors[atom]
    return True


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
    best: tuple[object, tuple[str, ...], tuple[tuple[Atom, Exponent], ...]] | None = None
    for choice in product(*(permutations(g) for g in _groups(factors, list(names), kind))):
        order = tuple(n for g in choice for n in g)
        position: dict[str | int, Index] = {n: k for k, n in enumerate(order)}
        renamed = {map_atom(a, lambda i: position.get(i, i)): e for a, e in factors.items()}  # noqa: B023
        ordered = tuple(sorted(renamed.items(), key=_factor_order))
        key = tuple(_factor_order(f) for f in ordered)
        if best is None or key < best[0]:  # type: ignore[operator]
            best = (key, order, ordered)
    assert best is not None
    return best[1], best[2]


def _groups(factors: Mapping[Atom, Exponent], names: list[str], kind: Mapping[str, str]) -> list[list[str]]:
    """The names in classes that nothing but their spelling tells apart."""
    bound = set(names)
    signature: dict[str, tuple[object, ...]] = {}
    for name in names:
        shape = []
        for atom, e in factors.items():
            if name in atom_indices(atom):
                blurred = map_atom(atom, lambda i: "•" if i == name else "◦" if i in bound else i)  # noqa: B023
                shape.append((atom_order(blurred), e))
        signature[name] = (kind[name], tuple(sorted(shape)))
    groups: dict[tuple[object, ...], list[str]] = {}
    for name in sorted(names, key=lambda n: signature[n]):  # type: ignore[arg-type,return-value]
        groups.setdefault(signature[name], []).append(name)
    return list(groups.values())


# ---- small constructors -------------------------------------------------------------------------------------------------


def term(factors: Mapping[Atom, Exponent], bound: Iterable[str] = (), coefficient: Fraction | int = 1) -> Sum:
    """The sum of one term, its bound indices given by name."""
    mono, c = close(dict(factors), bound)
    return Sum() if mono is None else Sum({mono: c * coefficient})


def atom_sum(atom: Atom) -> Sum:
    return term({atom: 1})


def number(value: Fraction | int) -> Sum:
    return Sum({ONE: Fraction(value)})


def rename_free(expr: Sum, to: Mapping[str, Index]) -> Sum:
    """Substitute free indices."""

    def one(mono: Mono) -> _Scaled:
        opened = open_mono(mono)
        return close(substitute(opened.factors, to), opened.bound)

    return total(one(m) * c for m, c in expr.terms.items())
