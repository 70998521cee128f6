"""Atoms (the factors of flat terms), the indices in atoms, and a total order of atoms and of indices.

Atoms are named tuples, because hashing and comparing atoms takes most of the engine's time. Tuples of two classes with equal
fields would be equal, so each class has a ``tag`` as its last field. Callers never pass a tag.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from fractions import Fraction
from functools import lru_cache
from itertools import count
from typing import Any, NamedTuple

from derive.functions.words import COMPARISONS, ORDERS

Exponent = int | Fraction
#: A sort key. Only keys that one function made are comparable.
Order = tuple[Any, ...]


class Lookup(NamedTuple):
    """An index that is read from an integer tensor: the ``t[n]`` of ``logp[n, t[n]]``."""

    name: str
    index: tuple[Index, ...]  # type: ignore[assignment]  # hides tuple.index, which nothing here calls
    tag: str = "lookup"


class Hole(NamedTuple):
    """In the index of a tensor, the place of an axis over which an :class:`Extremum` is taken."""

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
    """The base of an irrational power: ``pi``, or an integer that stands under a fractional exponent (2 ** (1/2))."""

    name: str
    tag: str = "irrational"


class Delta(NamedTuple):
    """1 where two indices are equal, else 0."""

    left: Index
    right: Index
    tag: str = "delta"


class Condition(NamedTuple):
    """The indicator ``[left rel right]``, or ``1 - [left rel right]`` unless ``holds``; both sides are plain arguments.

    A comparison with NaN is false. So ``a <= 0`` that does not hold is not ``a > 0``: NaN belongs to the first only.
    """

    rel: str
    left: Argument
    right: Argument
    holds: bool = True
    tag: str = "condition"

    @property
    def orders(self) -> frozenset[str]:
        """The possible orders of the two sides (less, equal, greater, unordered) where the condition is 1."""
        return COMPARISONS[self.rel] if self.holds else ORDERS - COMPARISONS[self.rel]


class Function(NamedTuple):
    """An elementwise function of plain arguments."""

    head: str
    args: tuple[Argument, ...]
    tag: str = "function"


class Extremum(NamedTuple):
    """The largest (or smallest) element of a tensor over the axes of its holes (:class:`Hole`)."""

    head: str
    of: Read
    tag: str = "extremum"


Argument = Read | Fraction
Atom = Read | Size | Irrational | Delta | Condition | Function | Extremum


# ---- indices ------------------------------------------------------------------------------------------------------------

_fresh = count()


def fresh(axis: str) -> str:
    """A new index of the axis, for a bound index while its term is open. :func:`derive.terms.sums.close` takes it away."""
    return f"{axis_of(axis)}'{next(_fresh)}"


def axis_of(index: str) -> str:
    """The axis of an index: ``n``, ``n'`` and ``n'12`` run over ``n``."""
    return index.split("'", 1)[0]


def map_index(index: Index, to: Callable[[str | int], Index]) -> Index:
    """The index with ``to`` applied to every name and number in it, also inside lookups."""
    if isinstance(index, (str, int)):
        return to(index)
    if isinstance(index, Lookup):
        return Lookup(index.name, tuple(map_index(i, to) for i in index.index))
    return index


def map_atom(atom: Atom, to: Callable[[str | int], Index]) -> Atom:
    """The atom with ``to`` applied to every name and number in its indices."""
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
    """``[left = right]``, which is the same atom as ``[right = left]``."""
    return Delta(left, right) if index_order(left) <= index_order(right) else Delta(right, left)


def negated(condition: Condition) -> Condition:
    """``1 - c``."""
    other = {"==": "!=", "!=": "=="}.get(condition.rel)
    return condition._replace(rel=other) if other else condition._replace(holds=not condition.holds)


def slots(atom: Atom) -> Iterator[Index]:
    """The indices of the atom, each lookup and each hole as a single index."""
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
    """The names and numbers in an index, also inside lookups."""
    if isinstance(index, (str, int)):
        yield index
    elif isinstance(index, Lookup):
        for i in index.index:
            yield from leaves(i)


@lru_cache(maxsize=200_000)
def atom_indices(atom: Atom) -> frozenset[str | int]:
    """The names and numbers of the atom's indices, also inside lookups."""
    return frozenset(leaf for slot in slots(atom) for leaf in leaves(slot))


def atom_reads(atom: Atom) -> Iterator[str]:
    """The name of every tensor that an atom reads, also inside lookups."""
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


def factor_order(factor: tuple[Atom, Exponent]) -> Order:
    return (atom_order(factor[0]), factor[1])


def rename(atom: Atom, to: Mapping[str | int, Index]) -> Atom:
    if type(atom) is Read:
        index = [to.get(i, i) if type(i) is str or type(i) is int else map_index(i, lambda j: to.get(j, j)) for i in atom.index]
        return Read(atom.name, tuple(index))
    return map_atom(atom, lambda i: to.get(i, i))


def renamed(factors: Mapping[Atom, Exponent], to: Mapping[str | int, Index]) -> dict[Atom, Exponent]:
    """The product with its indices renamed. ``to`` must be one to one, so that no two factors become equal."""
    return {rename(a, to): e for a, e in factors.items()}


def connected(factors: Iterable[Atom], names: Iterable[str]) -> list[set[str]]:
    """The connected components of the names, where a factor connects all names among its indices."""
    groups: list[set[str]] = [{n} for n in names]
    for atom in factors:
        touched = [g for g in groups if g & atom_indices(atom)]
        if len(touched) > 1:
            groups = [g for g in groups if g not in touched] + [set().union(*touched)]
    return groups
