"""A library of arrays as other people's code uses it: what such code is given, what it returns, how it is differentiated."""

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

#: From the gradients of the outputs in order to those of the arrays by name.
Pull = Callable[[Sequence[Any]], dict[str, Any]]


@dataclass(frozen=True)
class Applied:
    """A callable that has its own derivative: how it is called, with what, and which function has its code.

    ``parameters`` are those that arrays are passed for, in order; None where its signature says so.
    """

    call: Callable[..., Any]
    code: Callable[..., Any]
    parameters: tuple[Parameter, ...] | None = None


@dataclass(frozen=True)
class Model:
    """A callable with parameters of its own: their shapes by name, and how it is called with others in their place.

    ``call`` takes values of the parameters by name, and the arguments; ``made`` is the callable itself.
    """

    name: str
    shapes: Mapping[str, tuple[int, ...]]
    made: Any
    call: Callable[[Mapping[str, Any], Sequence[Any]], Any]
    code: Callable[..., Any]


class Library(ABC):
    """What is asked of a library; none is imported before there is something of its kind to be made."""

    #: The module that one imports.
    name: str
    #: What it is called in messages.
    title: str
    #: Whether arrays have strides, so that one may be a view of another, or one number that is seen everywhere.
    strided = False
    #: Whether arrays can be locked against writing.
    locked = False
    #: Whether it differentiates what is written in it.
    differentiates = True

    def missing(self) -> str:
        """That it is not there, in words; "" where it is."""
        return "" if find_spec(self.name) else f"{self.title} is not installed"

    @property
    def loaded(self) -> ModuleType | None:
        """The module, if anybody has imported it: else no value is of its kind."""
        return sys.modules.get(self.name)

    def running(self, dtype: str = "float64") -> AbstractContextManager[Any]:
        """What has to hold while arrays of a dtype are made and computed with."""
        return nullcontext()

    @abstractmethod
    def owns(self, value: Any) -> bool:
        """Whether a value is an array of this library."""

    @abstractmethod
    def array(self, value: np.ndarray, shape: tuple[int, ...]) -> Any:
        """The array as one of the library, on the same memory where that can be, and expanded to ``shape``."""

    @abstractmethod
    def numbers(self, array: Any) -> np.ndarray:
        """An array of the library as one of NumPy's, to be read; bfloat16 as float32."""

    def writes(self, array: Any) -> int:
        """How often an array has been written to or given away, as far as the library knows."""
        return 0

    def applied(self, value: Any) -> Applied | None:
        """A callable that has its own derivative; None for any other value."""
        return None

    def model(self, value: Any) -> Model | None:
        """A callable with parameters of its own; None for any other value."""
        return None

    def differentiated(self, function: Callable[[Mapping[str, Any]], Any], arrays: Mapping[str, Any]) -> tuple[list[Any], Pull]:
        """The outputs of a function of arrays by name, and what pulls gradients of the outputs back to those of the arrays."""
        raise NotImplementedError(f"{self.title} does not differentiate")


def single(found: Any) -> list[Any]:
    """What a function returned, always as a list."""
    return list(found) if isinstance(found, tuple | list) else [found]
