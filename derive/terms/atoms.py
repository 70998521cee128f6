"""The factors of flat terms, the indices in them, and a total order of both.

Atoms are named tuples because they are hashed and compared more than anything else. Tuples of two classes with the same
fields would be equal, so each class has a ``tag`` of its own; it is never passed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from fractions import Fraction
from functools import lru_cache
from itertools import count
from typing import Any, NamedTuple

from derive.functions.words import COMPARISONS, ORDERS

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
    """The product with indices renamed one to one, so that no two factors become equal."""
    return {rename(a, to): e for a, e in factors.items()}


def connected(factors: Iterable[Atom], names: Iterable[str]) -> list[set[str]]:
    """The names in groups that no factor ties together."""
    groups: list[set[str]] = [{n} for n in names]
    for atom in factors:
        touched = [g for g in groups if g & atom_indices(atom)]
        if len(touched) > 1:
            groups = [g for g in groups if g not in touched] + [set().union(*touched)]
    return groups
