"""The discovered backends whose kernels are Python functions of arrays."""

from __future__ import annotations

from codegen.backends.arrays.backend import ArrayBackend
from codegen.backends.discovery import discovered

__all__ = ["array_backends", "arrays", "first"]


def array_backends() -> dict[str, ArrayBackend]:
    """By name, in the order of lists."""
    return {name: b for name, b in discovered().items() if isinstance(b, ArrayBackend)}


def first() -> ArrayBackend:
    """The one that needs least, which is taken where nothing else is asked for."""
    return next(iter(array_backends().values()))


def arrays(name: str) -> ArrayBackend:
    """The one of that name (ValueError if there is none)."""
    found = array_backends()
    if name not in found:
        raise ValueError(f"unknown backend '{name}'; known: {', '.join(found)}")
    return found[name]
