"""An array library, as user code uses it: the arrays that code takes and returns, and how code is differentiated."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from importlib.util import find_spec
from inspect import Parameter
from types import ModuleType
from typing import Any

import numpy as np

__all__ = ["Applied", "Library", "Model", "Pull", "single"]

#: A vector-Jacobian product: takes the gradients of the outputs, in order, to the gradients of the arrays, by name.
Pull = Callable[[Sequence[Any]], dict[str, Any]]


@dataclass(frozen=True)
class Applied:
    """A callable that has its own derivative: how it is called, and which function has its code.

    ``parameters`` are the parameters that take arrays, in order; None where the callable's signature tells them.
    """

    call: Callable[..., Any]
    code: Callable[..., Any]
    parameters: tuple[Parameter, ...] | None = None


@dataclass(frozen=True)
class Model:
    """A callable that holds trainable parameters: their shapes by name, and how to call it with other values of them.

    ``call`` takes the parameters' values by name, and the arguments. ``made`` is the callable itself.
    """

    name: str
    shapes: Mapping[str, tuple[int, ...]]
    made: Any
    call: Callable[[Mapping[str, Any], Sequence[Any]], Any]
    code: Callable[..., Any]


class Library(ABC):
    """What the toolkit asks of an array library. A library is imported only when an array of it is made."""

    #: The module that one imports.
    name: str
    #: The name in messages.
    title: str
    #: Whether arrays have strides, so that an array may be a view of another, or one number expanded to a shape.
    strided = False
    #: Whether arrays can be locked against writing.
    locked = False
    #: Whether the library differentiates functions that are written in it.
    differentiates = True

    def missing(self) -> str:
        """That the library is not installed, in words; "" where it is installed."""
        return "" if find_spec(self.name) else f"{self.title} is not installed"

    @property
    def loaded(self) -> ModuleType | None:
        """The library's module if it has been imported; if not, no array of it exists."""
        return sys.modules.get(self.name)

    def running(self, dtype: str = "float64") -> AbstractContextManager[Any]:
        """The context in which arrays of a dtype are made and computed with."""
        return nullcontext()

    @abstractmethod
    def owns(self, value: Any) -> bool:
        """Whether a value is an array of this library."""

    @abstractmethod
    def array(self, value: np.ndarray, shape: tuple[int, ...]) -> Any:
        """The value as an array of the library, expanded to ``shape``; it shares the value's memory where the library can."""

    @abstractmethod
    def numbers(self, array: Any) -> np.ndarray:
        """An array of the library as a NumPy array that is only read; bfloat16 becomes float32."""

    def writes(self, array: Any) -> int:
        """How often an array has been written to or donated, as far as the library knows."""
        return 0

    def applied(self, value: Any) -> Applied | None:
        """A callable that has its own derivative; None for any other value."""
        return None

    def model(self, value: Any) -> Model | None:
        """A callable that holds trainable parameters; None for any other value."""
        return None

    def differentiated(self, function: Callable[[Mapping[str, Any]], Any], arrays: Mapping[str, Any]) -> tuple[list[Any], Pull]:
        """The outputs of a function of arrays by name, and its vector-Jacobian product.

        Raises NotImplementedError for a library that does not differentiate.
        """
        raise NotImplementedError(f"{self.title} does not differentiate")


def single(found: Any) -> list[Any]:
    """What a function returned, always as a list."""
    return list(found) if isinstance(found, tuple | list) else [found]
