"""What the scheduler knows of the machine that the loops run on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Machine:
    """The costs by which the scheduler decides.

    A value of at most ``recomputed`` operations is rematerialised where it is used rather than kept in memory. ``cached`` says
    that a nest reads from the cache what the nest before it wrote. Then several matrix products over a batch get one loop over
    the batch around all of them.
    """

    recomputed: int
    cached: bool
