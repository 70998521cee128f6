"""The lines of a derivation while they are simplified, and the steps that led to them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from derive import syntax as st
from derive.derivation import Step
from derive.rules import INLINE, Rule
from derive.simplify.cost import Model
from derive.simplify.ledger import Ledger
from derive.simplify.rewrite import replace_reads
from derive.terms.definitions import Definition
from derive.terms.order import in_order
from derive.terms.sums import Mono, Read, Sum, atom_indices, open_mono, sum_reads

__all__ = ["Change", "Work", "contraction", "in_contraction"]


class Change(NamedTuple):
    """One application of a rule: the result, and the name whose definition it used."""

    rule: Rule
    after: Sum
    using: str


class State(NamedTuple):
    """What an attempt may have to go back to."""

    lines: Mapping[str, Sum]
    steps: int
    hidden: frozenset[str]


class Work:
    """The lines by name, each with its steps. Lines that are ``hidden`` are being inlined: nothing may fold to them."""

    def __init__(self, op: st.Op, chain: Sequence[Definition], model: Model):
        self.gradients = tuple(st.adjoint_name(t.name) for t in op.differentiable)
        self.index = {d.name: d.index for d in chain}
        self.place = {d.name: k for k, d in enumerate(chain)}
        self.ledger = Ledger(model)
        self.lines: dict[str, Sum] = {}
        self.hidden: set[str] = set()
        self.steps: list[Step] = []

    # ---- steps -----------------------------------------------------------------------------------------------------

    def apply(self, name: str, changes: Iterable[Change]) -> None:
        """Carry out changes of one line, each a recorded step; what changes nothing is no step."""
        for change in changes:
            if change.after == self.lines[name]:
                continue
            self.record(change.rule, name, self.lines[name], change.after, (change.using,))
            self.lines[name] = change.after

    def inline(self, name: str, into: str) -> None:
        """Replace an adjoint by its line in the line of another."""
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
        """Undo all that was done since."""
        self.lines, self.hidden = dict(state.lines), set(state.hidden)
        del self.steps[state.steps :]

    # ---- questions -------------------------------------------------------------------------------------------------

    def users(self, name: str) -> list[str]:
        """The lines that read a name."""
        return [n for n, body in self.lines.items() if n != name and name in sum_reads(body)]

    def known_before(self, name: str, own: str) -> bool:
        """Whether a line is there, and computed before the line ``own`` is."""
        there = name in self.lines and name not in self.hidden
        return there and (own not in self.lines or self.place[name] < self.place[own])

    def cost(self) -> int:
        """The cost of all lines together."""
        return self.ledger.cost(self.lines)

    # ---- the end ---------------------------------------------------------------------------------------------------

    def drop_dead(self) -> None:
        """Forget the lines that no gradient needs."""
        needed = set(self.gradients)
        for name in reversed(list(self.lines)):
            if name in needed:
                needed |= sum_reads(self.lines[name])
        self.lines = {n: b for n, b in self.lines.items() if n in needed}

    def in_order(self) -> dict[str, Sum]:
        """The lines, each after those that it reads."""
        return {n: self.lines[n] for n in in_order({n: sum_reads(body) for n, body in self.lines.items()})}


def contraction(body: Sum) -> bool:
    """A sum over a product of which no factor carries every axis of the loop, such as a matrix product."""
    return any(_contracts(mono) for mono in body.terms)


def in_contraction(body: Sum, name: str) -> bool:
    """Whether the name is read inside a contraction."""
    return any(_contracts(mono) and any(isinstance(a, Read) and a.name == name for a, _ in mono.factors) for mono in body.terms)


@lru_cache(maxsize=1 << 14)
def _contracts(mono: Mono) -> bool:
    """Whether no factor carries every axis of the term's loop."""
    if not mono.bound:
        return False
    opened = open_mono(mono)
    inside = [atom_indices(a) for a in opened.factors if atom_indices(a) & set(opened.bound)]
    loop = frozenset().union(*inside)
    return not any(s == loop for s in inside)
