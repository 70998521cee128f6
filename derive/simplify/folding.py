"""Folding: names in the place of their definitions, until no fold applies."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from derive.rules import FOLD
from derive.simplify.budget import Budget
from derive.simplify.rewrite import apply_rewriting, fold_patterns, fold_product
from derive.simplify.tables import Tables
from derive.simplify.work import Change, Work
from derive.strain import Judge
from derive.terms.sums import Sum, sum_reads

__all__ = ["Folding"]


class Folding:
    """Folds expressions by the tables. ``order`` is the position of each name, counted from the inputs.

    ``refused`` has the pairs of a line and a name whose fold into that line was found to lose digits.
    """

    def __init__(self, work: Work, tables: Tables, judge: Judge, budget: Budget, order: Mapping[str, int]):
        self.work, self.tables, self.judge, self.budget, self.order = work, tables, judge, budget, order
        self.refused: set[tuple[str, str]] = set()

    def line(self, name: str) -> None:
        """Fold a line until no fold applies. A fold that loses digits is undone, and not tried again in this line."""
        work = self.work
        while (change := self.once(work.lines[name], name, ())) is not None:
            self.budget.judge(change.after)
            if self.judge.keeps(work.lines[name], change.after, work.index[name], name):
                work.apply(name, [change])
            else:
                self.refused.add((name, change.using))

    def folded(self, expr: Sum, own: str, unfolded: Collection[str] = ()) -> list[Change]:
        """The folds of an expression in the line ``own``, one after the other, until none applies.

        Reductions held by the names ``unfolded`` are not folded again.
        """
        changes: list[Change] = []
        while (change := self.once(expr, own, unfolded)) is not None:
            changes.append(change)
            expr = change.after
        return changes

    def eliminated(self, expr: Sum) -> Sum:
        """The expression after every elimination that applies."""
        while (change := self.elimination(expr)) is not None:
            expr = change.after
        return expr

    def once(self, expr: Sum, own: str, unfolded: Collection[str]) -> Change | None:
        """The first fold that applies: an elimination, else the latest product, else a reduction; None if none applies."""
        change = self.elimination(expr, own) or self.product(expr, own)
        if change is not None:
            return change
        after, using = fold_patterns(expr, self.tables.patterns, self.computed_before(own, unfolded))
        return Change(FOLD, after, using) if using else None

    def elimination(self, expr: Sum, own: str = "") -> Change | None:
        """The first elimination that applies in the line ``own``, tried from the inputs on; None if none applies."""
        self.budget.spend(expr)
        reads = sum_reads(expr)
        for name in sorted(reads & self.tables.eliminations.keys(), key=lambda n: self.order.get(n, 0)):
            rule = self.tables.eliminations[name]
            if (own, rule.using) in self.refused:
                continue
            after = apply_rewriting(expr, rule)
            if after != expr:
                return Change(FOLD, after, rule.using)
        return None

    def product(self, expr: Sum, own: str) -> Change | None:
        """The latest product that applies in the line ``own`` without raising the cost; None if none does."""
        for product in reversed(self.tables.products.among(sum_reads(expr))):
            if (own, product.using) in self.refused:
                continue
            after = fold_product(expr, product)
            if after != expr and self.no_dearer(own, expr, after):
                return Change(FOLD, after, product.using)
        return None

    def no_dearer(self, own: str, before: Sum, after: Sum) -> bool:
        """Whether all lines together cost no more with ``after`` in the line ``own`` than with ``before``."""
        self.budget.spend(after)
        old, new = self.work.cost_with(own, before, after)
        return new <= old

    def computed_before(self, own: str, unfolded: Collection[str]) -> Callable[[str], bool]:
        """A predicate of names: whether the name is computed before the line ``own``, and a fold to it is allowed there."""

        def known(name: str) -> bool:
            refused = name in unfolded or (own, name) in self.refused
            return not refused and (name not in self.work.index or self.work.known_before(name, own))

        return known
