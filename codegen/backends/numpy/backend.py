"""The NumPy backend, whose kernels need only NumPy."""

from __future__ import annotations

from codegen.backends.arrays.backend import ArrayBackend
from codegen.backends.numpy.layout import NumpyLayout
from codegen.backends.numpy.library import NumpyLibrary
from codegen.backends.numpy.plain import PlainNumpy
from codegen.backends.numpy.printer import NumpyPrinter
from codegen.source import Code

__all__ = ["BACKEND"]


class NumpyBackend(ArrayBackend):
    name, title, position = "numpy", "NumPy", 0
    chooses = True
    reserved = frozenset({"np", "numpy", "math", "range", "reversed"})
    modules = frozenset({"functools", "math", "numpy"})
    library = (Code("import numpy as np"),)
    printer, plain, layout = NumpyPrinter, PlainNumpy, NumpyLayout
    arrays = NumpyLibrary()

    def scalar(self, name: str, like: str) -> str:
        return f"{name} = np.asarray({name}, dtype={like}.dtype)"


BACKEND = NumpyBackend()
