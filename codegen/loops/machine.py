"""What the scheduler has to know of the machine that the loops run on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Machine:
    """The costs by which a target decides.

    A value of at most ``recomputed`` operations is computed again where it is used rather than kept in memory. ``cached`` says
    that what one nest has just written is read from a cache by the next: then one element of a batch of matrix products after
    the other is worth a loop around all of them.
    """

    recomputed: int
    cached: bool
