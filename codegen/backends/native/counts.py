"""The numbers of elements over axes, as C."""

from __future__ import annotations

from abc import ABC, abstractmethod

__all__ = ["Counts"]


class Counts(ABC):
    """What knows the length of each axis, and so the number of elements over several."""

    @abstractmethod
    def size(self, axis: str) -> str:
        """The length of an axis."""

    def count(self, axes: tuple[str, ...]) -> str:
        """The number of elements over axes."""
        return " * ".join(map(self.size, axes)) or "1"

    def factor(self, axes: tuple[str, ...]) -> str:
        """The number of elements over axes, as a factor of a product."""
        return f"({self.count(axes)})" if len(axes) > 1 else self.count(axes)
