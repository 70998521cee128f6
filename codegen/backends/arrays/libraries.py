"""The array library that a value or a function belongs to, among the libraries of the discovered backends."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import CodeType, ModuleType
from typing import Any

import numpy as np

from codegen.backends.arrays.discovery import array_backends
from codegen.backends.arrays.library import Applied, Library, Model

__all__ = ["applied", "libraries", "libraries_of", "model", "numbers"]


def libraries() -> tuple[Library, ...]:
    """Every library, in the order of lists."""
    return tuple(b.arrays for b in array_backends().values())


def libraries_of(function: Callable[..., Any]) -> tuple[Library, ...]:
    """The libraries that a function may be written in, in the order of lists; none where its module imports none.

    They are the libraries that the function's module has imported. Where there are several, they are narrowed to the libraries
    that the function's code or its annotations mention, if it mentions any.
    """
    function = inspect.unwrap(function)
    known = {a.name: a for a in libraries()}
    at_hand = {n: _library(v) for n, v in getattr(function, "__globals__", {}).items()}
    found = set(at_hand.values()) & set(known)
    if len(found) > 1:
        code = getattr(function, "__code__", None)
        named = {at_hand[n] for n in _names(code) if n in at_hand} if code else set()
        named |= {_library(a) for a in getattr(function, "__annotations__", {}).values()}
        found = found & named or found
    return tuple(a for n, a in known.items() if n in found)


def _names(code: CodeType) -> set[str]:
    """The global names that a function mentions, those of its inner functions included."""
    inner = [c for c in code.co_consts if isinstance(c, CodeType)]
    return set(code.co_names).union(*(_names(c) for c in inner))


def _library(value: Any) -> str:
    name = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None) or ""
    return str(name).partition(".")[0]


def numbers(value: Any) -> np.ndarray:
    """The value as a NumPy array, whether it is an array of any library or a number."""
    owner = next((a for a in libraries() if a.owns(value)), None)
    return np.asarray(value) if owner is None else owner.numbers(value)


def applied(value: Any) -> tuple[Library, Applied] | None:
    """A callable that has its own derivative, and its library; None for any other value."""
    return next(((a, found) for a in libraries() if (found := a.applied(value))), None)


def model(value: Any) -> tuple[Library, Model] | None:
    """A callable with parameters of its own, and its library; None for any other value."""
    return next(((a, found) for a in libraries() if (found := a.model(value))), None)
