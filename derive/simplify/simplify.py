"""From the chain rule's adjoints to closed forms, in three ways:

1. Fold names in the place of their definitions (:mod:`derive.simplify.folding`).
2. Unfold a name, fold again, and keep the form if it is cheaper (:mod:`derive.simplify.search`).
3. Inline an adjoint into the lines that read it, if that does not raise the cost of all lines, and repeat 1 and 2 there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf

from derive import syntax as st
from derive.rules import CHAIN_RULE, FOLD
from derive.simplify.budget import Budget
from derive.simplify.contractions import contraction, in_contraction
from derive.simplify.cost import Model
from derive.simplify.folding import Folding
from derive.simplify.rewrite import apply_rewriting
from derive.simplify.search import Search, long, wide
from derive.simplify.signs import Signs
from derive.simplify.tables import Rewriting, Tables, guarded_names
from derive.simplify.work import Change, Work
from derive.strain import Judge
from derive.terms.definitions import Definition
from derive.terms.style import Style
from derive.terms.sums import Read, Sum, atom_indices, atom_sum, sum_reads

#: All names that are inlined may together raise the cost of all lines, from the least that it was, by this part of what is not
#: in contractions: beside a matrix product all elementwise work is little, and would be repeated in line after line. A part
#: for each name would let a chain of many equations multiply out line after line.
SLACK = 1.01


class Simplifier:
    """Simplifies the adjoints of one op, recording every accepted step."""

    def __init__(
        self,
        op: st.Op,
        forward: Sequence[Definition],
        chain: Sequence[Definition],
        constants: set[str],
        style: Style,
        relations: Sequence[Rewriting],
        budget: Budget,
        judge: Judge | None = None,
    ):
        """``judge`` decides which rewritings lose digits; by default it does so at strained points of the op."""
        self.chain = chain
        by_name = {d.name: d for d in forward}
        self.budget = budget
        self.judge = judge or Judge(op, forward, style, chain)
        signs = Signs(op, by_name)
        self.tables = Tables(signs, constants, {t.name for t in op.inputs}, guarded_names(forward), self.judge.recovers)
        axes = {t.name: t.axes for t in op.inputs} | {d.name: d.index for d in [*forward, *chain]}
        axes |= {st.adjoint_name(t.name): t.axes for t in op.outputs}
        upstream = {st.adjoint_name(t.name) for t in op.outputs}
        self.model = Model(dict(op.sizes), axes, frozenset(upstream | {d.name for d in chain} | constants))
        order = {name: k for k, name in enumerate([*(t.name for t in op.inputs), *by_name])}
        self.work = Work(op, chain, self.model)
        self.folding = Folding(self.work, self.tables, self.judge, budget, order)
        self.search = Search(self.work, self.folding, self.tables, self.judge, budget, self.model)
        self.renamed: list[Rewriting] = []
        #: The least cost of all lines before any name was inlined so far.
        self.least = inf
        self.made = {st.adjoint_name(d.name) for d in forward if not d.author}
        self.tables.eliminations.update({rule.name: rule for rule in relations})
        for d in forward:
            self.tables.add_forward(d, self.folding.eliminated(d.body))
        for d in forward:
            self.tables.add_reduction(d, self.folding.eliminated(d.body))

    def run(self) -> dict[str, Sum]:
        """The closed lines by name, each after the lines that it reads."""
        for d in self.chain:
            self.take(d)
        self.inline_all()
        for name in list(self.work.lines):
            self.improve(name)
            self.drop_trivial(name)
        self.work.drop_dead()
        return self.work.in_order()

    # ---- one adjoint after the other -------------------------------------------------------------------------------

    def take(self, d: Definition) -> None:
        """Enter one adjoint as the chain rule gives it, and simplify it with the names known so far."""
        work = self.work
        work.record(CHAIN_RULE, d.name, atom_sum(Read(d.name, d.index)), d.body, ())
        work.put(d.name, d.body)
        self.judge.define(d)
        for rule in self.renamed:
            work.apply(d.name, [Change(FOLD, apply_rewriting(work.lines[d.name], rule), rule.using)])
        reads = sum_reads(work.lines[d.name])
        for name in list(work.lines):
            if name in reads and name not in work.gradients and self.trivial(work.lines[name]):
                self.inline_trivial(name, d.name)
                reads = sum_reads(work.lines[d.name])
        self.improve(d.name)
        self.take_over(d.name)
        self.tables.add_reduction(Definition(d.name, d.index, work.lines[d.name]), work.lines[d.name])
        self.search.forget()

    def take_over(self, name: str) -> None:
        """Drop an earlier adjoint that equals the new one up to the order of its axes, if the author named the new one.

        The line ``name`` must be a single read of that earlier adjoint. Lines that read the earlier adjoint then read ``name``.
        """
        work = self.work
        atom = work.lines[name].atom
        if name in self.made or not isinstance(atom, Read) or atom.name not in work.lines or atom.name in work.gradients:
            return
        if sorted(map(str, atom.index)) != sorted(work.index[name]) or contraction(work.lines[name]):
            return
        old = atom.name
        work.inline(old, name)
        own = dict(zip(map(str, atom.index), work.index[old], strict=True))
        rule = Rewriting(old, work.index[old], atom_sum(Read(name, tuple(own[i] for i in work.index[name]))), name)
        self.renamed.append(rule)
        for user in work.users(old):
            if user != name:
                work.apply(user, [Change(FOLD, apply_rewriting(work.lines[user], rule), name)])
        work.drop(old)

    def improve(self, name: str) -> None:
        """Fold a line, then search for a cheaper form of it."""
        self.folding.line(name)
        self.work.apply(name, self.search.improved(self.work.lines[name], self.work.index[name], name))

    # ---- inlining --------------------------------------------------------------------------------------------------

    def trivial(self, body: Sum) -> bool:
        """Whether a body is 0, or a single read times numbers, constants and lengths. Such a body needs no name."""
        if not body:
            return True
        only = body.single
        if only is None or only[0].bound:
            return False
        reads = [a for a, _ in only[0].factors if isinstance(a, Read) and a.name not in self.tables.constants]
        others = [a for a, _ in only[0].factors if not isinstance(a, Read) and atom_indices(a)]
        return len(reads) == 1 and not others

    def scaled(self, body: Sum) -> bool:
        """Whether a body is one read times scalars, ``dy - eps*dy``: they are factors of any product that reads it."""
        read: set[Read] = set()
        for mono in body.terms:
            own = {a for a, _ in mono.factors if isinstance(a, Read) and a.index}
            if mono.bound or len(own) != 1 or any(not isinstance(a, Read) and atom_indices(a) for a, _ in mono.factors):
                return False
            read |= own
        return len(read) == 1

    def inline_trivial(self, name: str, user: str) -> bool:
        """Inline a trivial name into one line, unless that line then has no value where it has one over an empty axis.

        The sum ``sum[a](q[s,a])`` is 0 there, whatever ``q`` is. With ``r/size(a)`` in its place it is ``r/size(a)*0``, or NaN.
        """
        before, state = self.work.lines[user], self.work.state()
        self.work.inline(name, user)
        kept = self.judge.keeps_empty(before, self.work.lines[user], self.work.index[user], user)
        if not kept:
            self.work.back_to(state)
        return kept

    def inline_all(self) -> None:
        """Try to inline every name. A name is tried again after its line or a line that reads it has changed.

        Where more than ``INLINING`` units were spent, all other names stay.
        """
        refused: dict[str, tuple[Sum, ...]] = {}
        count, most = 0, self.budget.spent + self.budget.inlining
        while count != len(self.work.lines):
            count = len(self.work.lines)
            for name in list(self.work.lines):
                if name in self.work.gradients or name not in self.work.lines:
                    continue
                if self.budget.spent > most:
                    return
                users = self.work.users(name)
                seen = tuple(self.work.lines[n] for n in (name, *users))
                if refused.get(name) != seen and not self.try_inline(name, users):
                    refused[name] = seen

    def try_inline(self, name: str, users: list[str]) -> bool:
        """Inline a name everywhere if all lines together get no dearer and round no worse; else leave them as they are.

        A contraction is never inlined, nor a sum into a contraction.
        """
        work = self.work
        body = work.lines[name]
        if not self.trivial(body):
            if contraction(body) or (len(body) > 1 and any(in_contraction(work.lines[u], name) for u in users)):
                return False
            if any(long(work.lines[u]) for u in users):  # long lines stay in terms of names, for readers
                return False
        self.least = min(self.least, work.cost())
        share = self.least if self.scaled(body) else work.light()
        most, state = self.least + (SLACK - 1) * share, work.state()
        work.hidden.add(name)
        if self.inlined(name, users) and work.cost() <= most and self.kept(users, state.lines) and work.cost() <= most:
            return True
        work.back_to(state)
        return False

    def inlined(self, name: str, users: list[str]) -> bool:
        """Inline a name into the lines ``users`` and improve these; False if a line gets too long."""
        work = self.work
        for user in users:
            before = len(work.lines[user])
            work.inline(name, user)
            if wide(work.lines[user]) or (len(work.lines[user]) > before and long(work.lines[user])):
                return False
            self.improve(user)
        work.drop_dead()
        return True

    def kept(self, users: list[str], before: Mapping[str, Sum]) -> bool:
        """Whether each line rounds no worse than ``before``. A line that does is rewritten if another form is found."""
        return all(self.search.repaired(u, before[u]) for u in users if u in self.work.lines)

    def drop_trivial(self, name: str) -> None:
        """Inline a trivial name whatever that costs."""
        work = self.work
        if name not in work.gradients and self.trivial(work.lines[name]):
            for user in work.users(name):
                before = work.lines[user]
                if self.inline_trivial(name, user):
                    self.search.repaired(user, before)
