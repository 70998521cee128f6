"""How much work a derivation may take, counted in terms and not in seconds: the same on every machine.

A unit is one term looked at by a rule. The search for cheaper forms has a part of its own, and where that is used up lines stay
as they are folded. What needs more than the whole is refused. The catalogue's largest op takes a third of what there is for
searching.
"""

from __future__ import annotations

from derive.errors import OpError

__all__ = ["SEARCH", "WORK", "Budget"]

#: Units that a derivation may take, and that searching may take of them.
WORK, SEARCH = 2_000_000, 20_000


class Budget:
    """What one derivation has spent."""

    def __init__(self, op: str):
        self.op, self.spent, self.searched = op, 0, 0

    @property
    def searches(self) -> bool:
        """Whether there is anything left for searching."""
        return self.searched < SEARCH

    def spend(self, terms: int, *, searching: bool = False) -> None:
        """Count terms that were looked at (OpError if they are too many)."""
        self.spent += terms + 1
        self.searched += terms + 1 if searching else 0
        if self.spent > WORK:
            raise OpError(
                f"this takes more than {WORK:,} rewritings of terms; make ops of parts of it and chain their gradients",
                op=self.op,
            )
