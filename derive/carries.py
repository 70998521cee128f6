"""What a recurrence carries from step to step: ``h[n, t - 1, k]``, which equations read before ``h[n, t, k]`` has its own."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from derive.trees import Add, Neg, Num, Size, Tree

__all__ = ["Carry", "first_step", "in_words_of_steps"]

ONE = Num(Fraction(1))


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

    @property
    def back(self) -> Tree:
        """What is added to a position for that of the step before."""
        return ONE if self.down else Neg(ONE)

    @property
    def begin(self) -> Tree:
        """The position of the first step."""
        return first_step(self.axis, self.down)


def first_step(axis: str, down: bool) -> Tree:
    """The position of the first step along an axis; of the last one for steps the other way."""
    return Add((Size(axis), Neg(ONE))) if down else Num(Fraction(0))


def in_words_of_steps(message: str, carries: Iterable[Carry]) -> str:
    """A message with the author's reads, ``h[n, t - 1, k]``, in the place of the names that stand for them."""
    for c in carries:
        step = "+ 1" if c.down else "- 1"

        def read(found: re.Match[str], c: Carry = c, step: str = step) -> str:
            slots = found[1].split(", ") if found[1] else list(c.axes)
            shown = [f"{s} {step}" if a == c.axis else s for a, s in zip(c.axes, slots, strict=False)]
            return f"{c.of}[{', '.join(shown)}]"

        message = re.sub(rf"\b{c.name}\b(?:\[([^\[\]]*)\])?", read, message)
    return message
