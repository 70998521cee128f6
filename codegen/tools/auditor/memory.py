"""The memory layouts that a backward's arguments may have, and which arguments a call has written to.

A gradient need not be contiguous. The gradient of a transposed tensor is strided; the gradient of a sum is expanded, one number
at every index. An array may also be read-only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from codegen.backends.arrays.library import Library

__all__ = ["CONTIGUOUS", "EXPANDED", "READ_ONLY", "STRIDED", "Watched", "laid_out"]

CONTIGUOUS, STRIDED, EXPANDED, READ_ONLY = "contiguous", "strided", "expanded", "read-only"


def laid_out(value: np.ndarray, how: str, library: Library) -> Any:
    """A copy of an array, as an array of the library with the memory layout ``how``.

    An array whose entries differ cannot be expanded: its copy is contiguous.
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
    """The array with its axes in reverse order in memory and a gap after each entry, so that no two axes can be merged."""
    room = np.zeros([2 * n for n in reversed(value.shape)], value.dtype)
    every_other: Any = (*(slice(None, None, 2) for _ in value.shape), ...)
    array = room[every_other].T
    array[...] = value
    return array


class Watched:
    """The arrays of a call, by the names of their parameters, and their values before the call."""

    def __init__(self, arrays: Mapping[str, Any], library: Library):
        self.library = library
        self.arrays = {n: a for n, a in arrays.items() if library.owns(a) and hasattr(a, "shape")}
        self.before = {n: self._bytes(a) for n, a in self.arrays.items()}
        self.writes = {n: library.writes(a) for n, a in self.arrays.items()}

    def written(self) -> Iterator[str]:
        """The names of the arrays that have been written to since, in order."""
        for name, array in self.arrays.items():
            if self.library.writes(array) != self.writes[name] or self._bytes(array) != self.before[name]:
                yield name

    def _bytes(self, array: Any) -> bytes:
        found = self.library.numbers(array)
        return str(found.shape).encode() + bytes(found.tobytes())
