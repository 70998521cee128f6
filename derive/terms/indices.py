"""Indices of flat terms: names, positions of bound indices, lookups and holes; and a total order of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import count
from typing import Any, NamedTuple

#: A sort key. Only keys that one function made are comparable.
Order = tuple[Any, ...]


class Lookup(NamedTuple):
    """An index that is read from an integer tensor: the ``t[n]`` of ``logp[n, t[n]]``."""

    name: str
    index: tuple[Index, ...]  # type: ignore[assignment]  # hides tuple.index, which nothing here calls
    tag: str = "lookup"


class Hole(NamedTuple):
    """In the index of a tensor, the place of an axis over which an extremum is taken."""

    axis: str
    tag: str = "hole"


Index = str | int | Lookup | Hole

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


def filled(index: Index, names: Mapping[str, str]) -> Index:
    """The index with a name in the place of each hole, by the hole's axis."""
    if isinstance(index, Hole):
        return names[index.axis]
    return Lookup(index.name, tuple(filled(i, names) for i in index.index)) if isinstance(index, Lookup) else index


def leaves(index: Index) -> Iterator[str | int]:
    """The names and numbers in an index, also inside lookups."""
    if isinstance(index, (str, int)):
        yield index
    elif isinstance(index, Lookup):
        for i in index.index:
            yield from leaves(i)


def lookup_names(index: Index) -> Iterator[str]:
    """The name of every integer tensor that an index is read from."""
    if isinstance(index, Lookup):
        yield index.name
        for i in index.index:
            yield from lookup_names(i)


# ---- order --------------------------------------------------------------------------------------------------------------


def leaf_order(leaf: str | int) -> Order:
    return ("0", f"{leaf:03}") if isinstance(leaf, int) else ("1", leaf)


#: The sort key of a name or number in an index.
LeafOrder = Callable[[str | int], Order]


def index_order(index: Index, leaf: LeafOrder = leaf_order) -> Order:
    if isinstance(index, (str, int)):
        return leaf(index)
    if isinstance(index, Hole):
        return ("2", index.axis)
    return ("3", index.name, *(part for i in index.index for part in index_order(i, leaf)))
