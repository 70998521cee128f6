"""What a process that measures hands to the one that started it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # these load NumPy and torch, which a process may do only once it has told malloc its regime
    from .machine import Machine
    from .once import Once
    from .timing import Measurement


@dataclass(frozen=True)
class Findings:
    """``once`` is there in one of the processes; ``loads`` are the system's at the start and the end."""

    machine: Machine
    measurements: tuple[Measurement, ...]
    once: Once | None
    loads: tuple[str, str]
