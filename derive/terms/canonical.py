"""A canonical order of bound indices: products that differ only in the names of bound indices become equal.

Colour refinement tells indices apart: indices of one colour get different colours where the factors use them differently, and
the refinement repeats until no colour splits. Where a colour still has several indices, each of these indices in turn is put
first and the colours are refined again. The least of the resulting orders is canonical. Two cases need no search: indices
whose exchange leaves the product unchanged, and groups of factors without a common index.
Source: McKay and Piperno, Practical graph isomorphism II, J. Symbolic Computation 60 (2014), sections 2 and 3.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from derive.errors import OpError
from derive.terms.atoms import (
    Atom,
    Exponent,
    Index,
    Order,
    atom_indices,
    connected,
    factor_order,
    leaf_order,
    order_by,
    rename,
    renamed,
)

__all__ = ["canonical_order"]

#: The most orders that are compared for one group of factors. Only highly symmetric products need more.
ORDERS = 2_000

Factors = Mapping[Atom, Exponent]
Classes = list[list[str]]


class Ordered(NamedTuple):
    """An order of names, the factors with each name replaced by its position, and the key by which orders are compared."""

    key: Order
    names: tuple[str, ...]
    factors: tuple[tuple[Atom, Exponent], ...]


def canonical_order(
    factors: Factors, names: Iterable[str], kind: Mapping[str, str]
) -> tuple[tuple[str, ...], tuple[tuple[Atom, Exponent], ...]]:
    """The names in canonical order, and the factors with each name replaced by its position.

    The order depends only on the kind of each name and on how the factors use it, not on the names themselves.
    OpError: more than ``ORDERS`` orders would have to be compared.
    """
    classes = _classes(factors, list(names), kind)
    if any(len(c) > 1 for c in classes):
        classes = _merged(factors, classes)
    best = _with_positions(factors, [n for c in classes for n in c])
    return best.names, best.factors


def _merged(factors: Factors, classes: Classes) -> Classes:
    """Classes of one name each. Groups of factors without a common index are ordered separately, then among each other."""
    parts = []
    for group in connected(factors, [n for c in classes for n in c]):
        own = {a: e for a, e in factors.items() if atom_indices(a) & group}
        mine = [[n for n in c if n in group] for c in classes]
        places = tuple(len(c) for c in mine)
        best = _least(own, [c for c in mine if c])
        parts.append((places, best.key, mine, best.names))
    parts.sort(key=lambda p: (p[0], p[1]))
    out: Classes = []
    for k in range(len(classes)):
        for _, _, mine, names in parts:
            out += [[n] for n in names if n in mine[k]]
    return out


def _least(factors: Factors, classes: Classes) -> Ordered:
    """The least order among those that refine the classes (OpError for more than ``ORDERS`` of them)."""
    best, count = None, 0
    for order in _orders(factors, classes):
        found = _with_positions(factors, order)
        best, count = found if best is None or found.key < best.key else best, count + 1
        if count > ORDERS:
            raise OpError("too many indices of a product are interchangeable; give a part of the product a name of its own")
    assert best is not None
    return best


def _orders(factors: Factors, classes: Classes) -> Iterator[list[str]]:
    classes = _refined(factors, classes)
    k = next((k for k, c in enumerate(classes) if len(c) > 1), None)
    if k is None:
        yield [n for c in classes for n in c]
        return
    tried: list[str] = []
    for name in classes[k]:
        if not any(_exchangeable(factors, name, other) for other in tried):
            tried.append(name)
            rest = [n for n in classes[k] if n != name]
            yield from _orders(factors, [*classes[:k], [name], rest, *classes[k + 1 :]])


def _exchangeable(factors: Factors, a: str, b: str) -> bool:
    """Whether exchanging two names leaves the product unchanged."""
    swap: dict[str | int, Index] = {a: b, b: a}
    return all(factors.get(rename(f, swap)) == e for f, e in factors.items() if atom_indices(f) & {a, b})


def _classes(factors: Factors, names: list[str], kind: Mapping[str, str]) -> Classes:
    """The names in ordered classes: equal kinds, and equal places in the factors."""
    return _split(factors, [names], dict.fromkeys(names, "◦"), kind)


def _refined(factors: Factors, classes: Classes) -> Classes:
    """The classes after colour refinement: split by the classes of neighbouring names until no class splits."""
    while len(classes) < sum(map(len, classes)):
        colours = {n: k for k, c in enumerate(classes) for n in c}
        finer = _split(factors, classes, colours, {})
        if len(finer) == len(classes):
            break
        classes = finer
    return classes


def _split(factors: Factors, classes: Classes, colours: Mapping[str, str | int], kind: Mapping[str, str]) -> Classes:
    """One step of refinement: each class split into ordered parts whose names have the same colours in their factors."""
    out: Classes = []
    keys: dict[str | int, Order] = {n: leaf_order(c) for n, c in colours.items()}
    for names in classes:
        if len(names) == 1:
            out.append(names)
            continue
        signature = {name: (kind.get(name, ""), _uses(factors, name, keys)) for name in names}
        parts: dict[Order, list[str]] = {}
        for name in sorted(names, key=signature.__getitem__):
            parts.setdefault(signature[name], []).append(name)
        out += parts.values()
    return out


def _uses(factors: Factors, name: str, colours: Mapping[str | int, Order]) -> Order:
    """The factors that have a name, with the colours in the place of all other names."""
    known = {**colours, name: leaf_order("•")}

    def leaf(i: str | int) -> Order:
        return known.get(i) or leaf_order(i)

    return tuple(sorted((order_by(a, leaf), e) for a, e in factors.items() if name in atom_indices(a)))


def _with_positions(factors: Factors, order: Sequence[str]) -> Ordered:
    ordered = tuple(sorted(renamed(factors, {n: k for k, n in enumerate(order)}).items(), key=factor_order))
    return Ordered(tuple(factor_order(f) for f in ordered), tuple(order), ordered)
