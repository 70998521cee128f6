"""The order in which a product is summed over several indices."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from itertools import permutations

from derive.terms.sums import (
    Atom,
    Exponent,
    atom_indices,
    axis_of,
)

__all__ = ["best_order"]


def best_order(factors: dict[Atom, Exponent], bound: tuple[str, ...], size: Callable[[str], int]) -> list[tuple[str, ...]]:
    """The groups of bound indices in the order of summation that takes the fewest operations.

    Indices that the same factors have are summed over in a single step.
    """
    if len(bound) == 1:
        return [bound]
    sets = tuple(frozenset(i for i in atom_indices(a) if isinstance(i, str)) for a in factors)
    lengths = tuple((i, size(axis_of(i))) for i in sorted(frozenset(bound).union(*sets)))
    return list(_best(sets, bound, lengths))


@lru_cache(maxsize=20_000)  # chains have many products of one structure
def _best(
    sets: tuple[frozenset[str], ...], bound: tuple[str, ...], lengths: tuple[tuple[str, int], ...]
) -> tuple[tuple[str, ...], ...]:
    """The groups of indices, for factors that have these sets of indices."""
    size = dict(lengths)
    candidates = permutations(bound) if len(bound) <= 4 else [bound]
    best: tuple[int, int, list[tuple[str, ...]]] | None = None
    for order in candidates:
        apart: list[tuple[str, ...]] = [(i,) for i in order]
        for steps in (apart, _grouped(sets, order)):
            found = (_elimination_cost(sets, steps, size), len(steps), steps)
            if best is None or found[:2] < best[:2]:
                best = found
    assert best is not None
    return tuple(tuple(i for i in bound if i in group) for group in best[2])  # within a step, in the order of ``bound``


def _grouped(sets: Sequence[frozenset[str]], order: tuple[str, ...]) -> list[tuple[str, ...]]:
    """An order in steps: adjacent indices form a step where the same factors have them."""
    steps: list[tuple[str, ...]] = []
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


def _elimination_cost(sets: Sequence[frozenset[str]], steps: list[tuple[str, ...]], size: Mapping[str, int]) -> int:
    """The operations of summing in these steps. A step loops over all indices of the factors that have its own indices."""
    cost = 0
    for group in steps:
        touched = [s for s in sets if not s.isdisjoint(group)]
        sets = [s for s in sets if s.isdisjoint(group)]
        union: frozenset[str] = frozenset().union(*touched)
        n = 1
        for i in union:
            n *= size[i]
        cost += n * max(len(touched), 1)
        sets.append(union - set(group))
    return cost
