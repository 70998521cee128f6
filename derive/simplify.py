"""From the chain rule's adjoints to closed forms.

1. Fold by definition, earlier names into later ones (:meth:`Simplifier.folded`).
2. Unfold a name, fold again, keep if cheaper (:meth:`Simplifier.improved`): this finds ``sum[n](xhat) = 0``,
   ``sum[c](p) = 1`` and ``sum[j](P*dP) = sum[d](do*o)``.
3. Inline a named adjoint into its consumers when that does not raise the cost of the whole, then improve again.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import count
from math import inf
from typing import NamedTuple

from derive import syntax as st
from derive.budget import Budget
from derive.cost import Model
from derive.derivation import Step
from derive.factor import Inner, Style, factor_indices, product_of, split, without
from derive.flatten import Definition
from derive.ledger import Ledger
from derive.rewrite import apply_rewriting, fold_patterns, fold_product, fold_total, replace_reads
from derive.signs import Signs
from derive.strain import Judge
from derive.tables import Rewriting, Tables, guarded_names
from derive.terms import Mono, Read, Sum, atom_indices, atom_sum, open_mono, sum_indices, sum_reads

#: A rewriting that only shuffles is not worth a step: candidates must be at least this much cheaper.
GAIN = 0.98
#: What a form that inherits more rounding may cost of one that does not.
INHERITED = 0.6
#: A name less is worth this much.
SLACK = 1.01
#: Bounds of the search for a cheaper form.
DEPTH, STATES, DETOUR, TERMS = 4, 24, 10, 12


class Change(NamedTuple):
    """One application of a rule: what it is called, the result, and whose definition it used."""

    rule: str
    after: Sum
    using: str


class _Found:
    """The cheapest forms that a search has found, from the price of the form that it began with.

    A form that inherits the rounding of what it reads is taken only where it is much cheaper than all that do not.
    """

    def __init__(self, price: float):
        self.prices = {False: price, True: price}
        self.paths: dict[bool, list[Change]] = {False: [], True: []}

    @property
    def limit(self) -> float:
        """What a form must cost less than to be of interest."""
        return max(self.prices[False], self.prices[True] * INHERITED) * GAIN

    def take(self, cost: int, path: list[Change], inherits: bool) -> None:
        if cost < self.prices[inherits] * GAIN:
            self.prices[inherits], self.paths[inherits] = cost, path

    @property
    def path(self) -> list[Change]:
        return self.paths[self.paths[True] != [] and self.prices[True] < self.prices[False] * INHERITED]


class Simplifier:
    """Simplifies the adjoints of one op, recording every accepted step."""

    def __init__(
        self,
        op: st.Op,
        forward: Sequence[Definition],
        chain: Sequence[Definition],
        constants: set[str],
        style: Style,
        relations: Sequence[Rewriting] = (),
    ):
        self.op, self.chain = op, chain
        by_name = {d.name: d for d in forward}
        self.judge = Judge(op, forward, style)
        signs = Signs(op, by_name)
        self.tables = Tables(signs, constants, {t.name for t in op.inputs}, guarded_names(forward), self.judge.recovers)
        #: Folds by a name that were found to lose digits in a line.
        self.refused: set[tuple[str, str]] = set()
        self.adjoints = {d.name: d for d in chain}
        self.gradients = tuple(f"d{t.name}" for t in op.differentiable)
        axes = {t.name: t.axes for t in op.inputs} | {d.name: d.index for d in [*forward, *chain]}
        axes |= {f"d{t.name}": t.axes for t in op.outputs}
        upstream = {f"d{t.name}" for t in op.outputs}
        self.model = Model(dict(op.sizes), axes, frozenset(upstream | set(self.adjoints) | constants))
        self.order = {name: k for k, name in enumerate([*(t.name for t in op.inputs), *by_name])}
        self.lines: dict[str, Sum] = {}
        self.index = {d.name: d.index for d in chain}
        self.ledger, self.budget = Ledger(self.model, self.index), Budget(op.name)
        self.steps: list[Step] = []
        self.hidden: set[str] = set()
        self.renamed: list[Rewriting] = []
        self.made = {f"d{d.name}" for d in forward if not d.author}
        self.searched: dict[tuple[Sum, tuple[str, ...], str, tuple[str, ...], frozenset[str]], list[Change]] = {}
        self.tables.eliminations.update({rule.name: rule for rule in relations})
        for d in forward:
            self.tables.add_forward(d, self.eliminated(d.body))
        for d in forward:
            self.tables.add_reduction(d, self.eliminated(d.body))

    # ---- the whole -------------------------------------------------------------------------------------------------

    def run(self) -> dict[str, Sum]:
        """The closed lines by name, in order."""
        for d in self.chain:
            self.take(d)
        count = 0
        while count != len(self.lines):  # what one name gains may make another worth inlining
            count = len(self.lines)
            for name in list(self.lines):
                self.try_inline(name)
        for name in list(self.lines):
            self.improve_line(name)
            self.drop_trivial(name)
        self.drop_dead()
        return self.in_order()

    def in_order(self) -> dict[str, Sum]:
        """The lines, each after those that it reads."""
        out: dict[str, Sum] = {}

        def place(name: str) -> None:
            if name not in out and name in self.lines:
                for other in sorted(sum_reads(self.lines[name])):
                    place(other)
                out[name] = self.lines[name]

        for name in self.lines:
            place(name)
        return out

    def take(self, d: Definition) -> None:
        """Enter one adjoint as the chain rule gives it, simplified with what is known so far."""
        self.record("chain rule", d.name, atom_sum(Read(d.name, d.index)), d.body, ())
        self.lines[d.name] = d.body
        self.judge.define(d)
        for rule in self.renamed:
            self.apply(d.name, [Change(f"fold {rule.using}", apply_rewriting(self.lines[d.name], rule), rule.using)])
        for name in [n for n in self.lines if n != d.name and n not in self.gradients and self.trivial(self.lines[n])]:
            self.inline(name, d.name)
        self.improve_line(d.name)
        self.take_over(d.name)
        self.tables.add_reduction(Definition(d.name, d.index, self.lines[d.name]), self.lines[d.name])
        self.searched.clear()

    def take_over(self, name: str) -> None:
        """Give a name's line to the author's name nearer to the inputs that turns out to be equal to it."""
        atom = self.lines[name].atom
        if name in self.made or not isinstance(atom, Read) or atom.name not in self.lines or atom.name in self.gradients:
            return
        if sorted(map(str, atom.index)) != sorted(self.index[name]) or self.contraction(self.lines[name]):
            return
        old = atom.name
        self.inline(old, name)
        own = dict(zip(map(str, atom.index), self.index[old], strict=True))
        rule = Rewriting(old, self.index[old], atom_sum(Read(name, tuple(own[i] for i in self.index[name]))), name)
        self.renamed.append(rule)
        for user in [n for n in self.lines if n not in (old, name)]:
            self.apply(user, [Change(f"fold {name}", apply_rewriting(self.lines[user], rule), name)])
        self.lines = {n: b for n, b in self.lines.items() if n not in (old, name)} | {name: self.lines[name]}

    def improve_line(self, name: str) -> None:
        """Fold a line, then look for a cheaper form of it."""
        self.fold_line(name)
        self.apply(name, self.improved(self.lines[name], self.index[name], name))

    def fold_line(self, name: str) -> None:
        """Fold a line, one name after the other; a fold that loses digits is undone and not tried again in this line."""
        while (change := self.fold_once(self.lines[name], name, ())) is not None:
            if self.judge.keeps(self.lines[name], change.after, self.index[name]):
                self.apply(name, [change])
            else:
                self.refused.add((name, change.using))

    def apply(self, name: str, changes: Iterable[Change]) -> None:
        """Carry out changes of one line, each a recorded step; what changes nothing is no step."""
        for change in changes:
            if change.after == self.lines[name]:
                continue
            self.record(change.rule, name, self.lines[name], change.after, (change.using,))
            self.lines[name] = change.after

    def record(self, rule: str, name: str, before: Sum, after: Sum, using: tuple[str, ...]) -> None:
        self.steps.append(Step(rule, name, self.index[name], before, after, using))

    # ---- inlining --------------------------------------------------------------------------------------------------

    def trivial(self, body: Sum) -> bool:
        """Zero, or an adjoint times a number and sizes: a name that says nothing."""
        if not body:
            return True
        only = body.single
        if only is None or only[0].bound:
            return False
        reads = [a for a, _ in only[0].factors if isinstance(a, Read) and a.name not in self.tables.constants]
        others = [a for a, _ in only[0].factors if not isinstance(a, Read) and atom_indices(a)]
        return len(reads) == 1 and not others

    def inline(self, name: str, into: str) -> None:
        """Replace an adjoint by its line in the line of another."""
        if name not in sum_reads(self.lines[into]):
            return
        after = replace_reads(self.lines[into], name, self.index[name], self.lines[name])
        self.record(f"inline {name}", into, self.lines[into], after, (name,))
        self.lines[into] = after

    def try_inline(self, name: str) -> None:
        """Inline a name everywhere if the whole gets no dearer; never a contraction, never a sum into a contraction."""
        if name in self.gradients or name not in self.lines:
            return
        users = [n for n in self.lines if n != name and name in sum_reads(self.lines[n])]
        if not self.trivial(self.lines[name]):
            if self.contraction(self.lines[name]):
                return
            if len(self.lines[name]) > 1 and any(self.in_contraction(self.lines[u], name) for u in users):
                return
            if any(len(self.lines[u]) > TERMS for u in users):  # a line so long reads better in terms of names
                return
        saved_lines, saved_steps = dict(self.lines), len(self.steps)
        before = self.cost()
        self.hidden.add(name)
        for user in users:
            self.inline(name, user)
            self.improve_line(user)
        self.drop_dead()
        if not all(self.repaired(u, saved_lines[u]) for u in users if u in self.lines) or self.cost() > before * SLACK:
            self.lines = saved_lines
            self.hidden.discard(name)
            del self.steps[saved_steps:]

    def contraction(self, body: Sum) -> bool:
        """A sum over a product of which no factor carries every axis of the loop, such as a matrix product."""
        return any(self.contracts(mono) for mono in body.terms)

    def contracts(self, mono: Mono) -> bool:
        """Whether no factor carries every axis of the term's loop."""
        if not mono.bound:
            return False
        opened = open_mono(mono)
        inside = [atom_indices(a) for a in opened.factors if atom_indices(a) & set(opened.bound)]
        loop = frozenset().union(*inside)
        return not any(s == loop for s in inside)

    def in_contraction(self, body: Sum, name: str) -> bool:
        """Whether the name is read inside a contraction."""
        return any(
            self.contracts(mono) and any(isinstance(a, Read) and a.name == name for a, _ in mono.factors) for mono in body.terms
        )

    def drop_trivial(self, name: str) -> None:
        """Inline a name that says nothing, whatever that costs."""
        if name not in self.gradients and self.trivial(self.lines[name]):
            for user in list(self.lines):
                before = self.lines[user]
                self.inline(name, user)
                self.repaired(user, before)

    def drop_dead(self) -> None:
        """Forget the lines that no gradient needs."""
        needed = set(self.gradients)
        for name in reversed(list(self.lines)):
            if name in needed:
                needed |= sum_reads(self.lines[name])
        self.lines = {n: b for n, b in self.lines.items() if n in needed}

    def cost(self) -> int:
        """The cost of all lines together."""
        return self.ledger.cost(self.lines)

    # ---- folding ---------------------------------------------------------------------------------------------------

    def eliminated(self, expr: Sum) -> Sum:
        """The expression in the names that folding keeps."""
        while (change := self.eliminate_once(expr)) is not None:
            expr = change.after
        return expr

    def folded(self, expr: Sum, own: str, unfolded: Collection[str] = ()) -> list[Change]:
        """Every fold that applies to the line ``own``, until none does; a reduction just unfolded stays so."""
        changes: list[Change] = []
        while (change := self.fold_once(expr, own, unfolded)) is not None:
            changes.append(change)
            expr = change.after
        return changes

    def eliminate_once(self, expr: Sum, own: str = "") -> Change | None:
        """The first elimination that applies in the line ``own``, names near the inputs first."""
        reads = sum_reads(expr)
        for name in sorted(reads & self.tables.eliminations.keys(), key=lambda n: self.order.get(n, 0)):
            rule = self.tables.eliminations[name]
            if (own, rule.using) in self.refused:
                continue
            after = apply_rewriting(expr, rule)
            if after != expr:
                return Change(f"fold {rule.using}", after, rule.using)
        return None

    def fold_once(self, expr: Sum, own: str, unfolded: Collection[str]) -> Change | None:
        """The first fold that applies: eliminations, then products, the latest first, then reductions."""
        self.budget.spend(len(expr))
        change = self.eliminate_once(expr, own)
        if change is not None:
            return change
        for product in reversed(self.tables.products):
            after = fold_product(expr, product)
            if after != expr and (own, product.using) not in self.refused and self.no_dearer(own, expr, after):
                return Change(f"fold {product.using}", after, product.using)
        after, using = fold_patterns(expr, self.tables.patterns, self.computed_before(own, unfolded))
        return Change(f"fold {using}", after, using) if using else None

    def no_dearer(self, own: str, before: Sum, after: Sum) -> bool:
        """Whether a product under one name costs no more where the line ``own`` reads it, what else is read counted."""
        free = tuple(sorted(sum_indices(before)))
        old, new = (self.ledger.instead(self.lines, own, body, free) for body in (before, after))
        return new <= old

    def computed_before(self, own: str, unfolded: Collection[str]) -> Callable[[str], bool]:
        """Whether a name's value is there when the line ``own`` is computed."""

        def earlier(name: str) -> bool:
            return name in self.lines and name not in self.hidden and (own not in self.lines or self.precedes(name, own))

        def known(name: str) -> bool:
            refused = name in unfolded or (own, name) in self.refused
            return not refused and (name not in self.adjoints or earlier(name))

        return known

    def precedes(self, name: str, other: str) -> bool:
        """Whether of two different lines the first is nearer to the loss."""
        return name != other and next(n for n in self.lines if n in (name, other)) == name

    # ---- unfold, fold again, keep if cheaper -----------------------------------------------------------------------

    def improved(self, expr: Sum, index: tuple[str, ...], own: str) -> list[Change]:
        """Cheaper forms of each reduction in the expression that make the whole cheaper, then of the whole.

        So it ends: costs are whole numbers.
        """
        before = self.price(index)(expr)
        for inner in sorted({f for m in expr.terms for f in split(m) if isinstance(f, Inner)}, key=repr):
            path = self.cached(Sum({inner.mono: 1}), tuple(sorted(factor_indices(inner))), own)
            changes = self.within(expr, inner, path)
            if changes:
                changes += self.folded(changes[-1].after, own)
            if changes and self.price(index)(changes[-1].after) < before:
                return changes + self.improved(changes[-1].after, index, own)
        return self.cached(expr, index, own)

    def within(self, expr: Sum, inner: Inner, path: list[Change]) -> list[Change]:
        """The changes of a reduction as changes of an expression in which it is a factor."""
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
        """The answer of :meth:`search`, kept until the next adjoint: the same reductions come up in many lines."""
        key = (expr, index, own, tuple(self.lines), frozenset(self.hidden))
        if key not in self.searched:
            self.searched[key] = self.search(expr, index, own)
        return self.searched[key]

    def search(self, expr: Sum, index: tuple[str, ...], own: str) -> list[Change]:
        """The path to the cheapest expression that rounds no worse, or nothing."""
        found = self.explored(expr, expr, index, own, _Found(self.price(index)(expr)))
        return found.path + self.improved(found.path[-1].after, index, own) if found.path else []

    def repaired(self, name: str, chain: Sum) -> bool:
        """Rewrite a line that rounds worse than ``chain``, of the same value; False if no form is found that does not."""
        body, index = self.lines[name], self.index[name]
        if self.judge.keeps(chain, body, index):
            return True
        found = self.explored(body, chain, index, name, _Found(inf), deep=True)
        self.apply(name, found.path)
        return bool(found.path)

    def explored(self, expr: Sum, wanted: Sum, index: tuple[str, ...], own: str, found: _Found, deep: bool = False) -> _Found:
        """Best-first search over unfoldings for expressions that round no worse than ``wanted``, of the same value."""
        price = self.price(index)
        limit = price(expr) * DETOUR
        tick = count()  # of two states with one price the earlier goes first
        queue: list[tuple[int, int, Sum, list[Change]]] = [(price(expr), next(tick), expr, [])]
        seen = {expr}
        expanded = 0
        while queue and expanded < STATES and len(expr) <= TERMS and self.budget.searches:
            _, _, state, trail = heapq.heappop(queue)
            expanded += 1
            for steps in self.successors(state, trail, own, deep):
                after = steps[-1].after
                self.budget.spend(len(after), searching=True)
                if after in seen or len(after) > TERMS:
                    continue
                seen.add(after)
                cost = price(after)
                if cost > limit:
                    continue
                if not after:
                    found.take(0, steps, False)
                    return found
                if cost < found.limit and self.judge.keeps(wanted, after, index):
                    found.take(cost, steps, self.judge.inherits(wanted, after, index))
                heapq.heappush(queue, (cost, next(tick), after, steps))
        return found

    def successors(self, state: Sum, trail: list[Change], own: str, deep: bool) -> Iterator[list[Change]]:
        """The trail continued by each name that may be unfolded, and folded again."""
        if sum(c.rule.startswith("unfold") for c in trail) >= DEPTH:
            return
        for rule in self.unfoldings(state, own, deep):
            changed = apply_rewriting(state, rule)
            if changed != state:
                verb = "unfold" if rule.using == rule.name else "solve"
                steps = [*trail, Change(f"{verb} {rule.using}", changed, rule.using)]
                unfolded = {c.using for c in steps if c.rule.startswith("unfold")}
                yield steps + self.folded(changed, own, unfolded)
        yield from self.totals(state, trail, own)

    def totals(self, state: Sum, trail: list[Change], own: str) -> Iterator[list[Change]]:
        """The trail continued by each sum of terms that has a name, and folded again."""
        known = self.computed_before(own, ())
        for rule in self.tables.totals if len(state) > 1 else ():
            changed = fold_total(state, rule) if known(rule.using) and rule.using != own else state
            if changed != state:
                steps = [*trail, Change(f"fold {rule.using}", changed, rule.using)]
                yield steps + self.folded(changed, own, {c.using for c in steps if c.rule.startswith("unfold")})

    def price(self, index: tuple[str, ...]) -> Callable[[Sum], int]:
        """The cost of an expression on its own, over these free indices."""
        return lambda expr: self.model.program([(expr, index)])

    def unfoldings(self, expr: Sum, own: str, deep: bool) -> list[Rewriting]:
        """What may be unfolded: names inside a reduction, adjoints anywhere, and terms that a sum determines.

        Outside of reductions sums that the engine named are unfolded, and if ``deep`` those that the author named too.
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
            told = name in inside or ((deep or len(expr) > 1) and (name in self.lines or self.is_sum(name, deep)))
            expansion = self.expansion(name) if told else None
            if expansion is not None and name != own:
                out.append(Rewriting(name, self.tables.definitions[name].index, expansion, name))
            if name in self.tables.solutions:
                out.append(self.tables.solutions[name])
        return out

    def is_sum(self, name: str, author: bool) -> bool:
        """Whether a name, one of the author's too if asked, stands for a sum of terms, which may meet others of its kind."""
        d = self.tables.definitions.get(name)
        return d is not None and (author or not d.author) and len(d.body) > 1 and not any(m.bound for m in d.body.terms)

    def expansion(self, name: str) -> Sum | None:
        """The definition of a name, names that folding would bring back unfolded as well; None if there is none."""
        d = self.tables.definitions.get(name)
        if d is None or d.function is not None:
            return None
        body = self.lines.get(name, d.body)
        for other in sorted(sum_reads(body)):
            rule = self.tables.eliminations.get(other)
            if rule is not None:
                inner = self.expansion(other)
                if inner is None:
                    return None
                body = replace_reads(body, other, self.tables.definitions[other].index, inner)
        return None if any(isinstance(a, Read) and a.name == name for m in body.terms for a, _ in m.factors) else body
