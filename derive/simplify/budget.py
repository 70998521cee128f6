"""The work that a derivation may take, counted in units and not in seconds, so that every machine derives the same.

A unit is one factor of a term that a rule looks at. A derivation that needs more than ``WORK`` units is refused. Searches for
cheaper forms may together take ``SEARCH`` units; lines are then only folded. A single search ends after ``PATIENCE`` units
in which it found nothing. To try names for inlining may take ``INLINING`` units, searches there included; other names then
keep their lines. So the time for a chain of equations grows with their number, and no faster.

In a derivation that starts from closed lines, as that of tangents does, there is little left to find. It may take a part of
these units, ``CLOSED``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from derive.errors import OpError
from derive.terms.sums import Sum

__all__ = ["CLOSED", "INLINING", "PATIENCE", "SEARCH", "WORK", "Budget"]

#: Units that a derivation may take, that all its searches may take of them, and that a search may take without a find.
WORK, SEARCH, PATIENCE = 500_000, 60_000, 1_000
#: Units that a derivation may take to try which names may be inlined.
INLINING = 60_000
#: The part of the units for searches and inlining that a derivation may take that starts from closed lines.
CLOSED = 1 / 3
#: To judge the rounding of a term takes as long as to rewrite this many terms.
JUDGED = 4


class Budget:
    """The units that one derivation has spent, all together and on searches, and what it may take for searches and inlining."""

    def __init__(self, op: str, share: float = 1):
        self.op, self.spent, self.searched = op, 0, 0
        self.search, self.inlining = int(SEARCH * share), int(INLINING * share)

    def spend(self, body: Sum, times: int = 1) -> None:
        """Count an expression that a rule looked at ``times`` times (OpError where more than ``WORK`` is spent)."""
        self.spent += times * (1 + sum(1 + len(mono.factors) for mono in body.terms))
        if self.spent > WORK:
            raise OpError(
                f"this takes more than {WORK:,} steps of work; make ops of parts of it and chain their gradients",
                op=self.op,
            )

    def judge(self, body: Sum) -> None:
        """Count an expression whose rounding was judged."""
        self.spend(body, JUDGED)

    @contextmanager
    def searching(self) -> Iterator[Purse]:
        """A context for one search: what is spent inside counts as spent on searches."""
        before = self.spent
        try:
            yield Purse(self)
        finally:
            self.searched += self.spent - before


class Purse:
    """The units that one search may still spend."""

    def __init__(self, budget: Budget):
        self.budget, self.left = budget, budget.search - budget.searched
        self.start = self.last = budget.spent

    def empty(self) -> bool:
        """Whether this search has spent too much since its last find, or all searches together have spent their part."""
        spent = self.budget.spent
        return spent - self.start >= self.left or spent - self.last >= PATIENCE

    def refill(self) -> None:
        """Note a find: the search gets its full patience again, as forms near the find may be cheaper still."""
        self.last = self.budget.spent
