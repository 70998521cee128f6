"""The discovered array backends: backends whose kernels are Python functions of arrays."""

from __future__ import annotations

from codegen.backends.arrays.backend import ArrayBackend
from codegen.backends.discovery import discovered

__all__ = ["array_backends", "arrays", "first"]


def array_backends() -> dict[str, ArrayBackend]:
    """The array backends by name, in the order of lists."""
    return {name: b for name, b in discovered().items() if isinstance(b, ArrayBackend)}


def first() -> ArrayBackend:
    """The array backend that needs least, which is the default."""
    return next(iter(array_backends().values()))


def arrays(name: str) -> ArrayBackend:
    """The array backend of that name (ValueError if there is none)."""
    found = array_backends()
    if name not in found:
        raise ValueError(f"unknown backend '{name}'; known: {', '.join(found)}")
    return found[name]
