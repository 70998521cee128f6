"""Lines that look like a right gradient and are none, each with the slip that was made.

The tables were written from what people get wrong, before anything was known of what is diagnosed. ``cause`` is a regular
expression for what a diagnosis has to say to have found the slip.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Slip"]


@dataclass(frozen=True)
class Slip:
    """A wrong line for the gradient ``blank`` of an op, in NumPy or torch, and what names its true cause."""

    op: str
    blank: str
    line: str
    cause: str
    backend: str = "numpy"

    def __str__(self) -> str:
        return f"{self.op}-{self.blank}-{self.line.splitlines()[-1]}"
