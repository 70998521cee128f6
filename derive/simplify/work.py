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
    """The lines and the numbers of steps and of changes before an attempt, for :meth:`Work.back_to`."""

    lines: Mapping[str, Sum]
    steps: int
    changes: int
    hidden: frozenset[str]


class Work:
    """The lines by name, and all steps taken. ``hidden`` lines are being inlined, so that no fold may use their names.

    ``lines`` is changed by :meth:`put` and :meth:`drop` alone, which know who reads whom without a look at every line. Lines
    are in the order of their ``place``.
    """

    def __init__(self, op: st.Op, chain: Sequence[Definition], model: Model):
        self.gradients = dict.fromkeys(st.adjoint_name(t.name) for t in op.differentiable)
        self.index = {d.name: d.index for d in chain}
        self.place = {d.name: k for k, d in enumerate(chain)}
        self.ledger = Ledger(model)
        self.lines: dict[str, Sum] = {}
        self.hidden: set[str] = set()
        self.steps: list[Step] = []
        #: The lines that read a name, the names of all lines put or dropped, and those that may have no reader.
        self.readers: dict[str, set[str]] = {}
        self.changes: list[str] = []
        self.unread: set[str] = set()
        #: The lines that were changed since the cost of all was last asked for.
        self.unpaid: set[str] = set()

    # ---- lines -----------------------------------------------------------------------------------------------------

    def put(self, name: str, body: Sum) -> None:
        """Give a line its right side. A new line must come after all others."""
        self.note(name, self.lines.get(name), body)
        self.lines[name] = body

    def drop(self, name: str) -> None:
        self.note(name, self.lines.pop(name), None)

    def note(self, name: str, before: Sum | None, after: Sum | None) -> None:
        """Keep up with a change of one line from ``before`` to ``after``; None for no line."""
        old, new = (frozenset[str]() if body is None else sum_reads(body) for body in (before, after))
        for other in old - new:
            self.readers[other].discard(name)
        for other in new - old:
            self.readers.setdefault(other, set()).add(name)
        self.unread |= old - new
        if before is None:
            self.unread.add(name)
        self.changes.append(name)
        self.unpaid.add(name)

    # ---- steps -----------------------------------------------------------------------------------------------------

    def apply(self, name: str, changes: Iterable[Change]) -> None:
        """Carry out changes of one line. Each change is recorded as a step, unless it changes nothing."""
        for change in changes:
            if change.after == self.lines[name]:
                continue
            self.record(change.rule, name, self.lines[name], change.after, (change.using,))
            self.put(name, change.after)

    def inline(self, name: str, into: str) -> None:
        """Replace the adjoint ``name`` by its line in the line ``into``."""
        if name not in sum_reads(self.lines[into]):
            return
        after = replace_reads(self.lines[into], name, self.index[name], self.lines[name])
        self.record(INLINE, into, self.lines[into], after, (name,))
        self.put(into, after)

    def record(self, rule: Rule, name: str, before: Sum, after: Sum, using: tuple[str, ...]) -> None:
        self.steps.append(Step(rule, name, self.index[name], before, after, using))

    def state(self) -> State:
        return State(dict(self.lines), len(self.steps), len(self.changes), frozenset(self.hidden))

    def back_to(self, state: State) -> None:
        """Undo everything that was done since the state was taken."""
        for name in dict.fromkeys(self.changes[state.changes :]):
            self.note(name, self.lines.get(name), state.lines.get(name))
        self.lines, self.hidden = dict(state.lines), set(state.hidden)
        del self.steps[state.steps :], self.changes[state.changes :]

    # ---- questions -------------------------------------------------------------------------------------------------

    def users(self, name: str) -> list[str]:
        """The lines that read a name."""
        return sorted(self.readers.get(name, set()) - {name}, key=self.place.__getitem__)

    def known_before(self, name: str, own: str) -> bool:
        """Whether the line ``name`` exists, is not hidden, and is computed before the line ``own``."""
        there = name in self.lines and name not in self.hidden
        return there and (own not in self.lines or self.place[name] < self.place[own])

    def cost(self) -> int:
        """The cost of all lines together."""
        cost = self.ledger.cost(self.lines, self.unpaid)
        self.unpaid.clear()
        return cost

    def cost_with(self, name: str, *bodies: Sum) -> list[int]:
        """The cost of all lines together if the line ``name`` had another body, for each of the given bodies."""
        self.cost()
        return self.ledger.instead(self.lines, name, *bodies, among=())

    def light(self) -> int:
        """The part of that cost that is not in contractions."""
        return self.cost() - self.ledger.contracted

    # ---- the end ---------------------------------------------------------------------------------------------------

    def drop_dead(self) -> None:
        """Forget the lines that no gradient needs."""
        while self.unread:
            name = self.unread.pop()
            if name in self.lines and name not in self.gradients and not self.readers.get(name):
                self.drop(name)

    def in_order(self) -> dict[str, Sum]:
        """The lines, each after the lines that it reads."""
        return {n: self.lines[n] for n in in_order({n: sum_reads(body) for n, body in self.lines.items()})}
