"""Arrays over named axes, as lists in row-major order. Nothing here knows an expression."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat
from operator import itemgetter
from typing import Any, NamedTuple

__all__ = ["Array", "Frame", "axis_of"]


class Array(NamedTuple):
    """The elements at every position of the distinct indices ``over``."""

    over: tuple[str, ...]
    values: list[Any]


def axis_of(index: str) -> str:
    """The axis that an index runs over: ``n'`` runs over ``n``."""
    return index.split("'", 1)[0]


class Frame:
    """The lengths of the axes, and the places of elements in arrays over these axes."""

    def __init__(self, sizes: Mapping[str, int]):
        self.sizes = dict(sizes)
        self.places: dict[tuple[tuple[str, ...], tuple[str, ...]], list[int]] = {}

    def length(self, index: str) -> int:
        return self.sizes[axis_of(index)]

    def count(self, over: Iterable[str]) -> int:
        """The number of elements of an array over these indices."""
        n = 1
        for i in over:
            n *= self.length(i)
        return n

    def coordinates(self, index: str, over: tuple[str, ...]) -> list[int]:
        """The value of one index at every position of the indices ``over``."""
        after = self.count(over[over.index(index) + 1 :])
        one = [k for k in range(self.length(index)) for _ in range(after)]
        return one * self.count(over[: over.index(index)])

    def positions(self, own: tuple[str, ...], over: tuple[str, ...]) -> list[int]:
        """For every position of ``over``, the position in an array over ``own``, a subset of these indices."""
        key = (own, over)
        if key not in self.places:
            place = [0] * self.count(over)
            for i in own:
                n = self.length(i)
                place = [p * n + k for p, k in zip(place, self.coordinates(i, over), strict=True)]
            self.places[key] = place
        return self.places[key]

    def spread(self, array: Array, over: tuple[str, ...]) -> list[Any]:
        """The array's elements, repeated at every position of ``over`` (KeyError if ``over`` lacks an index of the array)."""
        if array.over == over:
            return array.values
        if missing := set(array.over) - set(over):
            raise KeyError(f"the index {min(missing)}")
        if not array.over:
            return list(repeat(array.values[0], self.count(over)))
        return pick(array.values, self.positions(array.over, over))

    def gathered(self, axes: Sequence[str], slots: Sequence[list[int]]) -> list[int]:
        """The positions in a tensor over ``axes`` of a read whose indices are ``slots``: lists of the values of each index.

        A label outside of its axis counts as the nearest one inside: what is read there is not used.
        """
        place = [0] * len(slots[0])
        for axis, slot in zip(axes, slots, strict=True):
            n = self.length(axis)
            place = [p * n + min(max(k, 0), n - 1) for p, k in zip(place, slot, strict=True)]
        return place

    def inside(self, axes: Sequence[str], slots: Sequence[list[int]]) -> list[bool]:
        """Where every slot of a read is a position of its axis."""
        lengths = list(map(self.length, axes))
        return [all(0 <= k < n for k, n in zip(at, lengths, strict=True)) for at in zip(*slots, strict=True)]


def pick(values: Sequence[Any], positions: Sequence[int]) -> list[Any]:
    """The elements at the given positions."""
    if len(positions) > 1:
        return list(itemgetter(*positions)(values))
    return [values[p] for p in positions]


def rows(values: list[Any], length: int) -> Iterable[list[Any]]:
    """The elements in runs of ``length``: one run for each position of the first axes."""
    return (values[k : k + length] for k in range(0, len(values), length)) if length else repeat([], 1)
