"""Backwards as people write them: right ones in many habits, and wrong ones that look right.

Each is a function, an ``autograd.Function`` or a module, with what its author would declare to the auditor. What is right and
what is wrong about them is found by :mod:`tests.habits.judged`, with torch's autograd and without the auditor.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["RIGHT", "WRONG", "Habit", "right", "wrong"]


@dataclass(frozen=True)
class Habit:
    """One backward. ``kind`` says what is wrong with it, and ``says`` a part of what the audit is to say about that.

    ``names``, ``layout``, ``axes`` and ``function`` are declared. ``cache`` holds the names in a parameter that is a tuple.
    """

    call: Any
    op: str
    kind: str = ""
    says: str = ""
    names: Mapping[str, str] = field(default_factory=dict)
    layout: tuple[str, ...] = ()
    axes: int | tuple[int, ...] | None = None
    cache: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def declared(self) -> dict[str, Any]:
        return {"names": self.names, "layout": self.layout, "axes": self.axes}

    def __str__(self) -> str:
        return f"{self.op.partition('(')[0].rpartition(' ')[2]}-{getattr(self.call, '__name__', type(self.call).__name__)}"


RIGHT: list[Habit] = []
WRONG: list[Habit] = []


def right(op: str, **how: Any) -> Callable[[Any], Any]:
    """What is below is a right backward of an op."""

    def note(call: Any) -> Any:
        RIGHT.append(Habit(call, op, **how))
        return call

    return note


def wrong(op: str, kind: str, says: str, **how: Any) -> Callable[[Any], Any]:
    """What is below is a wrong backward of an op, for a reason of a kind that :mod:`tests.habits.judged` knows."""

    def note(call: Any) -> Any:
        WRONG.append(Habit(call, op, kind, says, **how))
        return call

    return note
