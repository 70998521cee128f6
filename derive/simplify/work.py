"""The lines of a derivation while they are simplified, and the steps that led to these lines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from derive import syntax as st
from derive.derivation import Step
from derive.rules import INLINE, Rule
from derive.simplify.cost import Model
from derive.simplify.ledger import Ledger
from derive.simplify.rewrite import replace_reads
from derive.terms.definitions import Definition
from derive.terms.order import in_order
from derive.terms.sums import Sum, sum_reads

__all__ = ["Change", "Work"]


class Change(NamedTuple):
    """One application of a rule: the whole expression after it, and the name whose definition the rule used."""

    rule: Rule
    after: Sum
    using: str


class State(NamedTuple):
    """The lines and the number of steps before an attempt, for :meth:`Work.back_to`."""

    lines: Mapping[str, Sum]
    steps: int
    hidden: frozenset[str]


class Work:
    """The lines by name, and all steps taken. ``hidden`` lines are being inlined, so that no fold may use their names."""

    def __init__(self, op: st.Op, chain: Sequence[Definition], model: Model):
        self.gradients = dict.fromkeys(st.adjoint_name(t.name) for t in op.differentiable)
        self.index = {d.name: d.index for d in chain}
        self.place = {d.name: k for k, d in enumerate(chain)}
        self.ledger = Ledger(model)
        self.lines: dict[str, Sum] = {}
        self.hidden: set[str] = set()
        self.steps: list[Step] = []

    # ---- steps -----------------------------------------------------------------------------------------------------

    def apply(self, name: str, changes: Iterable[Change]) -> None:
        """Carry out changes of one line. Each change is recorded as a step, unless it changes nothing."""
        for change in changes:
            if change.after == self.lines[name]:
                continue
            self.record(change.rule, name, self.lines[name], change.after, (change.using,))
            self.lines[name] = change.after

    def inline(self, name: str, into: str) -> None:
        """Replace the adjoint ``name`` by its line in the line ``into``."""
        if name not in sum_reads(self.lines[into]):
            return
        after = replace_reads(self.lines[into], name, self.index[name], self.lines[name])
        self.record(INLINE, into, self.lines[into], after, (name,))
        self.lines[into] = after

    def record(self, rule: Rule, name: str, before: Sum, after: Sum, using: tuple[str, ...]) -> None:
        self.steps.append(Step(rule, name, self.index[name], before, after, using))

    def state(self) -> State:
        return State(dict(self.lines), len(self.steps), frozenset(self.hidden))

    def back_to(self, state: State) -> None:
        """Undo everything that was done since the state was taken."""
        self.lines, self.hidden = dict(state.lines), set(state.hidden)
        del self.steps[state.steps :]

    # ---- questions -------------------------------------------------------------------------------------------------

    def users(self, name: str) -> list[str]:
        """The lines that read a name."""
        return [n for n, body in self.lines.items() if n != name and name in sum_reads(body)]

    def known_before(self, name: str, own: str) -> bool:
        """Whether the line ``name`` exists, is not hidden, and is computed before the line ``own``."""
        there = name in self.lines and name not in self.hidden
        return there and (own not in self.lines or self.place[name] < self.place[own])

    def cost(self) -> int:
        """The cost of all lines together."""
        return self.ledger.cost(self.lines)

    def light(self) -> int:
        """The part of that cost that is not in contractions."""
        return self.cost() - self.ledger.contracted

    # ---- the end ---------------------------------------------------------------------------------------------------

    def drop_dead(self) -> None:
        """Forget the lines that no gradient needs."""
        needed = set(self.gradients)
        for name in reversed(list(self.lines)):
            if name in needed:
                needed |= sum_reads(self.lines[name])
        self.lines = {n: b for n, b in self.lines.items() if n in needed}

    def in_order(self) -> dict[str, Sum]:
        """The lines, each after the lines that it reads."""
        return {n: self.lines[n] for n in in_order({n: sum_reads(body) for n, body in self.lines.items()})}
