"""Folding: definitions of earlier names into later ones, until none applies."""

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
    """Folds expressions by the tables; ``order`` says how near a name is to the inputs.

    ``refused`` are the folds by a name that were found to lose digits in a line.
    """

    def __init__(self, work: Work, tables: Tables, judge: Judge, budget: Budget, order: Mapping[str, int]):
        self.work, self.tables, self.judge, self.budget, self.order = work, tables, judge, budget, order
        self.refused: set[tuple[str, str]] = set()

    def line(self, name: str) -> None:
        """Fold a line, one name after the other; a fold that loses digits is undone and not tried again in this line."""
        work = self.work
        while (change := self.once(work.lines[name], name, ())) is not None:
            self.budget.judge(change.after)
            if self.judge.keeps(work.lines[name], change.after, work.index[name], name):
                work.apply(name, [change])
            else:
                self.refused.add((name, change.using))

    def folded(self, expr: Sum, own: str, unfolded: Collection[str] = ()) -> list[Change]:
        """Every fold that applies to the line ``own``, until none does; a reduction just unfolded stays so."""
        changes: list[Change] = []
        while (change := self.once(expr, own, unfolded)) is not None:
            changes.append(change)
            expr = change.after
        return changes

    def eliminated(self, expr: Sum) -> Sum:
        """The expression in the names that folding keeps."""
        while (change := self.elimination(expr)) is not None:
            expr = change.after
        return expr

    def once(self, expr: Sum, own: str, unfolded: Collection[str]) -> Change | None:
        """The first fold that applies: eliminations, then products, the latest first, then reductions."""
        change = self.elimination(expr, own) or self.product(expr, own)
        if change is not None:
            return change
        after, using = fold_patterns(expr, self.tables.patterns, self.computed_before(own, unfolded))
        return Change(FOLD, after, using) if using else None

    def elimination(self, expr: Sum, own: str = "") -> Change | None:
        """The first elimination that applies in the line ``own``, names near the inputs first."""
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
        """The latest product that applies in the line ``own`` and makes it no dearer."""
        for product in reversed(self.tables.products.among(sum_reads(expr))):
            if (own, product.using) in self.refused:
                continue
            after = fold_product(expr, product)
            if after != expr and self.no_dearer(own, expr, after):
                return Change(FOLD, after, product.using)
        return None

    def no_dearer(self, own: str, before: Sum, after: Sum) -> bool:
        """Whether a product under one name costs no more where the line ``own`` reads it, what else is read counted."""
        self.budget.spend(after)
        old, new = self.work.ledger.instead(self.work.lines, own, before, after)
        return new <= old

    def computed_before(self, own: str, unfolded: Collection[str]) -> Callable[[str], bool]:
        """Whether a name's value is there when the line ``own`` is computed, and may be folded to."""

        def known(name: str) -> bool:
            refused = name in unfolded or (own, name) in self.refused
            return not refused and (name not in self.work.index or self.work.known_before(name, own))

        return known
