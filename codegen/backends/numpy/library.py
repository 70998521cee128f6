"""NumPy's arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from codegen.backends.arrays.library import Library

__all__ = ["NumpyLibrary"]


class NumpyLibrary(Library):
    name, title = "numpy", "NumPy"
    strided = locked = True
    differentiates = False

    def owns(self, value: Any) -> bool:
        """Whether a value is an array or a number: in NumPy, operations on arrays without axes return numbers."""
        return isinstance(value, np.ndarray | np.generic | int | float)

    def array(self, value: np.ndarray, shape: tuple[int, ...]) -> Any:
        return value if value.shape == shape else np.broadcast_to(value, shape)

    def numbers(self, array: Any) -> np.ndarray:
        return np.asarray(array)
