"""How much work a derivation may take, counted in terms and not in seconds: the same on every machine.

A unit is one factor of a term looked at by a rule. Searching for cheaper forms has a part of its own, and each search ends
where it has found nothing for a while; where that part is used up lines stay as they are folded. What needs more than the
whole is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from derive.errors import OpError
from derive.terms.sums import Sum

__all__ = ["PATIENCE", "SEARCH", "WORK", "Budget"]

#: Units that a derivation may take, that searching may take of them, and that one search may take since it found something.
WORK, SEARCH, PATIENCE = 500_000, 30_000, 1_000
#: Judging how a term is rounded takes as long as rewriting so many.
JUDGED = 4


class Budget:
    """What one derivation has spent."""

    def __init__(self, op: str):
        self.op, self.spent, self.searched = op, 0, 0

    def spend(self, body: Sum, times: int = 1) -> None:
        """Count what was looked at (OpError if it is too much)."""
        self.spent += times * (1 + sum(1 + len(mono.factors) for mono in body.terms))
        if self.spent > WORK:
            raise OpError(
                f"this takes more than {WORK:,} steps of work; make ops of parts of it and chain their gradients",
                op=self.op,
            )

    def judge(self, body: Sum) -> None:
        """Count an expression of which the rounding was judged."""
        self.spend(body, JUDGED)

    @contextmanager
    def searching(self) -> Iterator[Purse]:
        """All that is spent inside is spent on searching."""
        before = self.spent
        try:
            yield Purse(self)
        finally:
            self.searched += self.spent - before


class Purse:
    """What one search may still spend."""

    def __init__(self, budget: Budget):
        self.budget, self.left = budget, SEARCH - budget.searched
        self.start = self.last = budget.spent

    def empty(self) -> bool:
        """Whether the search has gone on for too long without finding anything, or all searches together have."""
        spent = self.budget.spent
        return spent - self.start >= self.left or spent - self.last >= PATIENCE

    def refill(self) -> None:
        """Something was found: what is near it is worth looking at."""
        self.last = self.budget.spent
