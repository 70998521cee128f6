"""How arrays may lie in memory when a backward is called, and which of them a call has written to.

A gradient need not be contiguous: that of a transposed tensor is strided, that of a sum is one number that is seen everywhere
(expanded), and an array may be one that is not to be written to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from codegen.backends.arrays.library import Library

__all__ = ["CONTIGUOUS", "EXPANDED", "READ_ONLY", "STRIDED", "Watched", "laid_out"]

CONTIGUOUS, STRIDED, EXPANDED, READ_ONLY = "contiguous", "strided", "expanded", "read-only"


def laid_out(value: np.ndarray, how: str, library: Library) -> Any:
    """A copy of an array, as one of the library's, that lies in memory as said.

    An expanded one is contiguous unless all its entries are equal.
    """
    if how == STRIDED:
        array = _strided(value)
    elif how == EXPANDED and value.size > 1 and (value == value.flat[0]).all():
        array = np.array(value.flat[0])
    else:
        array = np.array(value)
    if how == READ_ONLY:
        array.flags.writeable = False
    return library.array(array, value.shape)


def _strided(value: np.ndarray) -> np.ndarray:
    """The array with its axes in reverse order in memory and a gap after each entry: no two of them can be merged."""
    room = np.zeros([2 * n for n in reversed(value.shape)], value.dtype)
    every_other: Any = (*(slice(None, None, 2) for _ in value.shape), ...)
    array = room[every_other].T
    array[...] = value
    return array


class Watched:
    """The arrays of a call, by the names of the parameters that they are passed as, and what they were before it."""

    def __init__(self, arrays: Mapping[str, Any], library: Library):
        self.library = library
        self.arrays = {n: a for n, a in arrays.items() if library.owns(a) and hasattr(a, "shape")}
        self.before = {n: self._bytes(a) for n, a in self.arrays.items()}
        self.writes = {n: library.writes(a) for n, a in self.arrays.items()}

    def written(self) -> Iterator[str]:
        """The names of those that have been written to since, in order."""
        for name, array in self.arrays.items():
            if self.library.writes(array) != self.writes[name] or self._bytes(array) != self.before[name]:
                yield name

    def _bytes(self, array: Any) -> bytes:
        found = self.library.numbers(array)
        return str(found.shape).encode() + bytes(found.tobytes())
