"""What a recurrence carries from step to step: ``h[n, t - 1, k]``, which equations read before ``h[n, t, k]`` has its own."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Carry"]


@dataclass(frozen=True, slots=True)
class Carry:
    """``name[axes]`` is ``of[axes]`` one step before, along ``axis``.

    Steps go up the axis, or down it where the equations read ``h[n, t + 1, k]``. ``first``, over the other axes, is the name of
    what is read before the first step; with "" that is 0. The adjoint of ``next`` is what the next step sends back, and the
    adjoint of ``step`` is that and the upstream gradient of ``of``.
    """

    name: str
    of: str
    next: str
    step: str
    axes: tuple[str, ...]
    axis: str
    down: bool = False
    first: str = ""

    @property
    def rest(self) -> tuple[str, ...]:
        """The axes without the axis of the steps."""
        return tuple(a for a in self.axes if a != self.axis)
