"""How arrays may lie in memory when a backward is called, and which of them a call has written to.

A gradient need not be contiguous: that of a transposed tensor is strided, that of a sum is one number that is seen everywhere
(expanded), and an array may be one that is not to be written to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

__all__ = ["CONTIGUOUS", "EXPANDED", "READ_ONLY", "STRIDED", "Watched", "laid_out"]

CONTIGUOUS, STRIDED, EXPANDED, READ_ONLY = "contiguous", "strided", "expanded", "read-only"


def laid_out(value: np.ndarray, how: str, tensors: bool) -> Any:
    """A copy of an array that lies in memory as said, as a tensor where ``tensors``.

    An expanded one is contiguous unless all its entries are equal.
    """
    if how == STRIDED:
        array = _strided(value)
    elif how == EXPANDED and value.size > 1 and (value == value.flat[0]).all():
        array = np.array(value.flat[0])
    else:
        array = np.array(value)
    if tensors:
        import torch

        tensor = torch.from_numpy(array)
        return tensor if tuple(tensor.shape) == value.shape else tensor.expand(value.shape)
    array = np.broadcast_to(array, value.shape) if array.shape != value.shape else array
    if how == READ_ONLY:
        array.flags.writeable = False
    return array


def _strided(value: np.ndarray) -> np.ndarray:
    """The array with its axes in reverse order in memory and a gap after each entry: no two of them can be merged."""
    room = np.zeros([2 * n for n in reversed(value.shape)], value.dtype)
    every_other: Any = (*(slice(None, None, 2) for _ in value.shape), ...)
    array = room[every_other].T
    array[...] = value
    return array


class Watched:
    """The arrays of a call, by the names of the parameters that they are passed as, and what they were before it."""

    def __init__(self, arrays: Mapping[str, Any]):
        self.arrays = {n: a for n, a in arrays.items() if hasattr(a, "shape")}
        self.before = {n: _bytes(a) for n, a in self.arrays.items()}
        self.versions = {n: getattr(a, "_version", 0) for n, a in self.arrays.items()}

    def written(self) -> Iterator[str]:
        """The names of those that have been written to since, in order."""
        for name, array in self.arrays.items():
            # torch counts what writes to a tensor, be it the same numbers.
            if getattr(array, "_version", 0) != self.versions[name] or _bytes(array) != self.before[name]:
                yield name


def _bytes(array: Any) -> bytes:
    found = array.detach().numpy() if hasattr(array, "detach") else array
    return str(found.shape).encode() + bytes(found.tobytes())
