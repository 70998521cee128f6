"""The search for cheaper forms: unfold a name, fold again, and keep the form if it is cheaper and rounds no worse.

This search finds ``sum[n](xhat) = 0``, ``sum[c](p) = 1`` and ``sum[j](P*dP) = sum[d](do*o)``.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from itertools import count
from math import inf
from typing import NamedTuple

from derive.rules import FOLD, SOLVE, UNFOLD
from derive.simplify.budget import Budget
from derive.simplify.cost import Model
from derive.simplify.folding import Folding
from derive.simplify.rewrite import apply_rewriting, fold_total, replace_reads
from derive.simplify.tables import Rewriting, Tables
from derive.simplify.work import Change, Work
from derive.strain import Judge
from derive.terms.factors import Inner, factor_indices, product_of, split, without
from derive.terms.sums import Read, Sum, atom_indices, open_mono, sum_reads

__all__ = ["Search", "long", "wide"]

#: A form is taken only below this share of the current cost: a rewriting that hardly saves is not worth a step.
GAIN = 0.98
#: A form that inherits rounding errors of the names that it reads is taken only below this share of the cost of a form
#: without inherited errors.
INHERITED = 0.6
#: Bounds of a search: names unfolded on one trail, forms expanded, and how many times dearer than the start a form may be.
DEPTH, STATES, DETOUR = 4, 24, 10
#: An expression with more terms, or with a term of more factors, stays in terms of names, as people read it more easily.
TERMS, FACTORS = 12, 16


def long(expr: Sum) -> bool:
    """Whether an expression has too many terms or factors to be unfolded further."""
    return len(expr) > TERMS or wide(expr)


def wide(expr: Sum) -> bool:
    """Whether a term of an expression has more factors than a reader follows."""
    return any(len(mono.factors) > FACTORS for mono in expr.terms)


class Wanted(NamedTuple):
    """The goal of a search: forms with the value of ``truth`` over ``index``, for the line ``own``.

    A ``deep`` search also unfolds sums that the author named.
    """

    truth: Sum
    index: tuple[str, ...]  # type: ignore[assignment]  # hides tuple.index, which nothing here calls
    own: str
    deep: bool = False


class Found:
    """The cheapest forms that a search has found. ``price`` is the cost of the form from which the search started.

    The cheapest form that inherits rounding errors of the names that it reads is kept apart from the cheapest form that does
    not. The former is the result only where it is much cheaper (``INHERITED``).
    """

    def __init__(self, price: float):
        self.prices = {False: price, True: price}
        self.paths: dict[bool, list[Change]] = {False: [], True: []}

    @property
    def limit(self) -> float:
        """The cost from which on no form is taken."""
        return max(self.prices[False], self.prices[True] * INHERITED) * GAIN

    def take(self, cost: int, path: list[Change], inherits: bool) -> None:
        if cost < self.prices[inherits] * GAIN:
            self.prices[inherits], self.paths[inherits] = cost, path

    @property
    def path(self) -> list[Change]:
        return self.paths[self.paths[True] != [] and self.prices[True] < self.prices[False] * INHERITED]


class Search:
    """Searches for cheaper forms of expressions. Results are cached until :meth:`forget`."""

    def __init__(self, work: Work, folding: Folding, tables: Tables, judge: Judge, budget: Budget, model: Model):
        self.work, self.folding, self.tables = work, folding, tables
        self.judge, self.budget, self.model = judge, budget, model
        self.known: dict[tuple[Sum, tuple[str, ...], str, tuple[str, ...], frozenset[str]], list[Change]] = {}

    def forget(self) -> None:
        """Clear the cache: there is a new name, and with it every result may change."""
        self.known.clear()

    def improved(self, expr: Sum, index: tuple[str, ...], own: str) -> list[Change]:
        """The changes that make the expression cheaper: in one of its reductions, as often as that helps, then as a whole.

        The recursion ends, as every round lowers the cost, which is a whole number.
        """
        before = self.price(expr)
        for inner in sorted({f for m in expr.terms for f in split(m) if isinstance(f, Inner)}, key=repr):
            path = self.cached(Sum({inner.mono: 1}), tuple(sorted(factor_indices(inner))), own)
            changes = self.within(expr, inner, path)
            if changes:
                changes += self.folding.folded(changes[-1].after, own)
            if changes and self.price(changes[-1].after) < before:
                return changes + self.improved(changes[-1].after, index, own)
        return self.cached(expr, index, own)

    def within(self, expr: Sum, inner: Inner, path: list[Change]) -> list[Change]:
        """Changes of the reduction ``inner`` as changes of the expression in which ``inner`` is a factor."""
        held = [(m, c) for m, c in expr if split(m).get(inner) == 1]
        rest = expr - Sum(dict(held))
        changes = []
        for change in path if held else ():
            after = rest
            for m, c in held:
                after = after + product_of(without(split(m), inner)).scaled(c) * change.after
            changes.append(Change(change.rule, after, change.using))
        return changes

    def cached(self, expr: Sum, index: tuple[str, ...], own: str) -> list[Change]:
        """:meth:`cheapest`, cached: many lines have the same reductions."""
        key = (expr, index, own, tuple(self.work.lines), frozenset(self.work.hidden))
        if key not in self.known:
            self.known[key] = self.cheapest(expr, index, own)
        return self.known[key]

    def cheapest(self, expr: Sum, index: tuple[str, ...], own: str) -> list[Change]:
        """The changes that lead to the cheapest form that rounds no worse; empty if no cheaper form is found."""
        found = self.explored(expr, Wanted(expr, index, own), Found(self.price(expr)))
        return found.path + self.improved(found.path[-1].after, index, own) if found.path else []

    def repaired(self, name: str, chain: Sum) -> bool:
        """Rewrite a line if it rounds worse than ``chain``, an expression of the same value.

        Returns False if every form found rounds worse.
        """
        body, index = self.work.lines[name], self.work.index[name]
        if self.keeps(chain, body, index, name):
            return True
        found = self.explored(body, Wanted(chain, index, name, deep=True), Found(inf))
        self.work.apply(name, found.path)
        return bool(found.path)

    def explored(self, expr: Sum, wanted: Wanted, found: Found) -> Found:
        """``found`` after a best-first search over unfoldings for cheaper forms that round no worse than ``wanted.truth``."""
        limit = self.price(expr) * DETOUR
        tick = count()  # of two forms with equal cost the earlier is expanded first
        queue: list[tuple[int, int, Sum, list[Change]]] = [(self.price(expr), next(tick), expr, [])]
        seen = {expr}
        expanded = 0
        with self.budget.searching() as purse:
            while queue and expanded < STATES and not long(expr) and not purse.empty():
                _, _, state, trail = heapq.heappop(queue)
                expanded += 1
                for steps in self.successors(state, trail, wanted):
                    if purse.empty():
                        break
                    after = steps[-1].after
                    self.budget.spend(after)
                    if after in seen or long(after):
                        continue
                    seen.add(after)
                    cost = self.price(after)
                    if cost > limit:
                        continue
                    if not after:
                        found.take(0, steps, False)
                        return found
                    if cost < found.limit and self.keeps(wanted.truth, after, wanted.index, wanted.own):
                        found.take(cost, steps, self.judge.inherits(wanted.truth, after, wanted.index))
                        purse.refill()
                    heapq.heappush(queue, (cost, next(tick), after, steps))
        return found

    def keeps(self, before: Sum, after: Sum, index: tuple[str, ...], own: str) -> bool:
        self.budget.judge(after)
        return self.judge.keeps(before, after, index, own)

    def price(self, expr: Sum) -> int:
        """The cost of an expression by itself."""
        return self.model.alone(expr)

    # ---- where to go -----------------------------------------------------------------------------------------------

    def successors(self, state: Sum, trail: list[Change], wanted: Wanted) -> Iterator[list[Change]]:
        """The trail with one more name unfolded, and then folded; one trail for each name that may be unfolded."""
        if len(_unfolded(trail)) >= DEPTH:
            return
        for rule in self.unfoldings(state, wanted):
            changed = apply_rewriting(state, rule)
            if changed != state:
                steps = [*trail, Change(UNFOLD if rule.using == rule.name else SOLVE, changed, rule.using)]
                yield steps + self.folding.folded(changed, wanted.own, _unfolded(steps))
        yield from self.totals(state, trail, wanted.own)

    def totals(self, state: Sum, trail: list[Change], own: str) -> Iterator[list[Change]]:
        """The trail with one more total folded, and then all else that folds; one trail for each total that applies."""
        known = self.folding.computed_before(own, ())
        for rule in self.tables.totals.among(sum_reads(state)) if len(state) > 1 else ():
            changed = fold_total(state, rule) if known(rule.using) and rule.using != own else state
            if changed != state:
                steps = [*trail, Change(FOLD, changed, rule.using)]
                yield steps + self.folding.folded(changed, own, _unfolded(steps))

    def unfoldings(self, expr: Sum, wanted: Wanted) -> list[Rewriting]:
        """The rewritings that unfold a name which the expression reads.

        Inside a reduction every name with a definition is unfolded. Outside of reductions, adjoints and sums that the engine
        named are unfolded, and in a deep search also sums that the author named. Solutions of sums are tried everywhere.
        """
        inside: set[str] = set()
        outside: set[str] = set()
        for mono in expr.terms:
            opened = open_mono(mono)
            for atom, e in opened.factors.items():
                if isinstance(atom, Read) and e == int(e) and e > 0:
                    (inside if atom_indices(atom) & set(opened.bound) else outside).add(atom.name)
        out = []
        for name in sorted(inside | outside):
            free = (wanted.deep or len(expr) > 1) and (name in self.work.lines or self.is_sum(name, wanted.deep))
            expansion = self.expansion(name) if name in inside or free else None
            if expansion is not None and name != wanted.own:
                out.append(Rewriting(name, self.tables.definitions[name].index, expansion, name))
            if name in self.tables.solutions:
                out.append(self.tables.solutions[name])
        return out

    def is_sum(self, name: str, author: bool) -> bool:
        """Whether a name stands for a sum of terms without reductions. Names of the author's count only if ``author``."""
        d = self.tables.definitions.get(name)
        return d is not None and (author or not d.author) and len(d.body) > 1 and not any(m.bound for m in d.body.terms)

    def expansion(self, name: str) -> Sum | None:
        """The body of a name, with all names unfolded that folding would turn back into the name; None if it has no body."""
        d = self.tables.definitions.get(name)
        if d is None or d.function is not None:
            return None
        body = self.work.lines.get(name, d.body)
        for other in sorted(sum_reads(body)):
            rule = self.tables.eliminations.get(other)
            if rule is not None:
                inner = self.expansion(other)
                if inner is None:
                    return None
                body = replace_reads(body, other, self.tables.definitions[other].index, inner)
        return None if any(isinstance(a, Read) and a.name == name for m in body.terms for a, _ in m.factors) else body


def _unfolded(steps: list[Change]) -> list[str]:
    """The name that each unfolding among the steps unfolded."""
    return [c.using for c in steps if c.rule == UNFOLD]
