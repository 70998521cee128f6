"""The order in which a product is summed over several indices.

A step of an order loops over all indices of the factors that have its own indices, but for those that equality rows among the
factors determine (:mod:`derive.terms.determined`). So an index that a row determines is summed over together with others of
its row: apart from them, its sum would be a table over all other indices of the row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import permutations
from typing import NamedTuple

from derive.terms.atoms import Delta
from derive.terms.determined import equality, solvable, taken_away
from derive.terms.indices import leaves
from derive.terms.sums import Atom, Exponent, Lookup, atom_indices, axis_of

__all__ = ["best_order"]

Steps = list[tuple[str, ...]]


class Row(NamedTuple):
    """The indices of an equality row, and those of them that the others determine, in the row's order.

    A lookup, ``[v = t[n, b]]``, is such a row too: it determines the index that it is compared with and no other, so it is
    ``lookup``.
    """

    indices: frozenset[str]
    solvable: tuple[str, ...]
    lookup: bool = False


class Product(NamedTuple):
    """The indices of each factor that is no row, and the rows."""

    sets: tuple[frozenset[str], ...]
    rows: tuple[Row, ...]


def best_order(factors: dict[Atom, Exponent], bound: tuple[str, ...], size: Callable[[str], int]) -> list[tuple[str, ...]]:
    """The groups of bound indices in the order of summation that takes the fewest operations.

    Indices that the same factors have are summed over in a single step.
    """
    if len(bound) == 1:
        return [bound]
    sets, rows = list[frozenset[str]](), list[Row]()
    for atom in factors:
        indices = frozenset(i for i in atom_indices(atom) if isinstance(i, str))
        form, position = equality(atom), looked_up(atom)
        if form is not None:
            rows.append(Row(indices, tuple(i for i in solvable(form) if isinstance(i, str))))
        elif position is not None:
            rows.append(Row(indices, (position,), lookup=True))
        else:
            sets.append(indices)
    named = sorted(frozenset(bound).union(*sets, *(r.indices for r in rows)))
    lengths = tuple((i, size(axis_of(i))) for i in named)
    return list(_best(Product(tuple(sets), tuple(rows)), bound, lengths))


@lru_cache(maxsize=20_000)  # chains have many products of one structure
def _best(product: Product, bound: tuple[str, ...], lengths: tuple[tuple[str, int], ...]) -> tuple[tuple[str, ...], ...]:
    """The groups of indices, for factors that have these sets of indices."""
    size = {axis_of(i): n for i, n in lengths} | dict(lengths)  # asked for by index and by axis
    best: tuple[int, int, Steps] | None = None
    for steps in _candidates(product, bound, size):
        found = (_elimination_cost(product, steps, size), len(steps), steps)
        if best is None or found[:2] < best[:2]:
            best = found
    assert best is not None
    return tuple(tuple(i for i in bound if i in group) for group in best[2])  # within a step, in the order of ``bound``


def _candidates(product: Product, bound: tuple[str, ...], size: Mapping[str, int]) -> Iterator[Steps]:
    """Orders in steps: of all indices but one for each row, which is placed where it then costs least.

    That one is the index that the row determines, or any other of the row where that is no index of the sum.
    """
    mutual = [r for r in product.rows if not r.lookup]
    own = ([i for i in r.solvable if i in bound] or [i for i in bound if i in r.indices] for r in mutual)
    last = taken_away(own, size.__getitem__)
    rest = tuple(i for i in bound if i not in last)
    sets = _without_rows(product, last)
    for order in permutations(rest) if len(rest) <= 4 else [rest]:
        apart: Steps = [(i,) for i in order]
        for steps in (apart, _grouped(sets, order)):
            for i in last:
                places = _places(steps, str(i))
                steps = min(places, key=lambda s: _elimination_cost(product, s, size))
            yield steps


def looked_up(atom: Atom) -> str | None:
    """The index that an indicator compares with a lookup of other indices; None for any other atom."""
    if not isinstance(atom, Delta):
        return None
    for index, other in ((atom.left, atom.right), (atom.right, atom.left)):
        if isinstance(index, str) and isinstance(other, Lookup) and index not in leaves(other):
            return index
    return None


def _without_rows(product: Product, last: Sequence[object]) -> tuple[frozenset[str], ...]:
    """The sets of indices, where all other indices of a row stand in the place of the one that is placed last."""
    sets = product.sets
    for row in product.rows:
        index = next((i for i in last if i in row.indices), None)
        sets = tuple((s | row.indices) - {str(index)} if index in s else s for s in sets)
    return sets


def _places(steps: Steps, i: str) -> list[Steps]:
    """The orders with one more index: in one of the steps, or as a step of its own."""
    inside = [[*steps[:k], (*steps[k], i), *steps[k + 1 :]] for k in range(len(steps))]
    return [*inside, *([*steps[:k], (i,), *steps[k:]] for k in range(len(steps) + 1))]


def _grouped(sets: Sequence[frozenset[str]], order: tuple[str, ...]) -> Steps:
    """An order in steps: adjacent indices form a step where the same factors have them."""
    steps: Steps = []
    for i in order:
        if steps and _users(sets, i) == _users(sets, steps[-1][0]):
            steps[-1] = (*steps[-1], i)
        else:
            steps.append((i,))
    if len(steps) == 2 and len(sets) <= 2:
        steps = [tuple(order)]
    return steps


def _users(sets: Sequence[frozenset[str]], i: str) -> list[bool]:
    return [i in s for s in sets]


def _elimination_cost(product: Product, steps: Steps, size: Mapping[str, int]) -> int:
    """The operations of summing in these steps. A step loops over all indices of the factors that have its own indices."""
    cost, sets, rows = 0, list(product.sets), product.rows
    for group in steps:
        touched = [s for s in sets if not s.isdisjoint(group)]
        sets = [s for s in sets if s.isdisjoint(group)]
        under = [r for r in rows if not r.indices.isdisjoint(group)] if rows else []
        union: frozenset[str] = frozenset().union(*touched, *(r.indices for r in under))
        loop = union.difference(taken_away((r.solvable for r in under), size.__getitem__)) if under else union
        rows = tuple(r for r in rows if r not in under)
        n = 1
        for i in loop:
            n *= size[i]
        cost += n * max(len(touched), 1)
        sets.append(union - set(group))
    return cost
