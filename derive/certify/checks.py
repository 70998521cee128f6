"""The checks of one derivation at one point, in floating point of many digits.

:mod:`derive.certify` says what each check compares.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import Any

from derive.certify.certificate import Check
from derive.certify.condition import harder, worse
from derive.certify.differences import differences
from derive.certify.flat import Values
from derive.certify.sent import Sender
from derive.certify.shown import shown
from derive.certify.stage import Stage, guarded, precise, reason_of
from derive.derivation import Derivation, Line, Step
from derive.engine import style_of
from derive.language.unicode import language
from derive.rounding import ACCURATE
from derive.rules import CHAIN_RULE, STABILISE
from derive.show.show import Row
from derive.syntax import Tree, adjoint_name, reads
from derive.terms.factor import to_tree
from derive.terms.sums import Sum

__all__ = ["Checker"]

Column = list[Any]
#: The most groups in which inputs are moved for difference quotients. So few inputs or fewer are moved one by one.
DIRECTIONS = 8


class Checker:
    """The checks of a derivation, and of the derivation ``full`` that keeps the adjoint of every equation, at one point."""

    def __init__(self, derivation: Derivation, full: Derivation, rows: Mapping[str, list[Row]], stage: Stage, seed: int):
        """``rows`` are the printed lines by name."""
        self.derivation, self.full, self.rows, self.stage, self.seed = derivation, full, rows, stage, seed
        self.op = derivation.op
        known = {d.name for d in derivation.stable}
        first = {s.name: s.before for s in reversed(derivation.steps)}
        #: The definitions that rules for rounding made, before later rules changed them.
        self.made = [replace(d, body=first.get(d.name, d.body)) for d in derivation.forward if d.name not in known]
        self.written = self.stage.values(derivation.written)
        self.values = self.stage.values([*derivation.stable, *self.made, *derivation.chain])
        self.computed = self.stage.values([*derivation.forward, *derivation.lines])
        self.whole = self.stage.values([*full.forward, *full.lines])

    def run(self) -> list[Check]:
        """All checks, in the order of the stages: the first check that fails names the stage that is wrong."""
        stages = (
            self.flattened,
            self.differences,
            self.steps,
            self.conditions,
            self.forward,
            self.lines,
            self.factored,
            self.shown,
            self.chain_rule,
        )
        return [check for stage in stages for check in stage()]

    # ---- forward ---------------------------------------------------------------------------------------------------

    def flattened(self) -> Iterator[Check]:
        """The flat definitions of the author's equations against the equations as written."""
        for d in self.derivation.written:
            if d.author:
                yield self.agreement("flatten", d.name, self.written, d.body, d.index, self.author(d.name))

    def forward(self) -> Iterator[Check]:
        """The author's names as they are computed against the equations, for names that the derivation keeps."""
        for d in self.derivation.forward:
            if d.author:
                yield self.agreement("forward", d.name, self.computed, d.body, d.index, self.author(d.name))

    def author(self, name: str) -> Column:
        return self.stage.author.nodes[name].array.values

    # ---- steps -----------------------------------------------------------------------------------------------------

    def steps(self) -> Iterator[Check]:
        sender = Sender(self.stage, self.derivation, self.values)
        for step in self.derivation.steps:
            sent = self.reason(partial(sender.missing, step.name, self.seed)) if step.rule == CHAIN_RULE else ""
            reason = sent or self.differ(step)
            check = Check(step.title, step.name, not reason, reason)
            yield replace(check, before=self.text(step.before, step), after=self.text(step.after, step)) if reason else check

    def differ(self, step: Step) -> str:
        """Why the two sides of a step are not equal; "" if they are."""
        start = self.written if step.rule == STABILISE else self.values

        def both() -> str:
            before, after = start.sum(step.before, step.index), self.values.sum(step.after, step.index)
            return self.stage.difference(
                before, after, step.index, lambda: _larger(start, step.before, self.values, step.after, step.index)
            )

        return self.reason(both)

    def conditions(self) -> Iterator[Check]:
        """The conditioning of both sides of the steps that were taken only for accuracy."""
        steps = [s for s in self.derivation.steps if s.rule in ACCURATE]
        if steps:
            hard = Stage(self.op, harder(self.derivation, self.stage.at))
            stage = precise(hard) or hard
            values = stage.values([*self.derivation.stable, *self.made, *self.derivation.chain])
            for step in steps:
                reason = self.reason(partial(worse, step, values, stage))
                sides = [self.text(body, step) if reason else "" for body in (step.before, step.after)]
                yield Check("condition", step.name, not reason, reason, *sides)

    # ---- gradients -------------------------------------------------------------------------------------------------

    def differences(self) -> Iterator[Check]:
        """The brute-force derivatives against difference quotients of the equations as written."""
        names = [t.name for t in self.op.differentiable]
        for group in [names[k::DIRECTIONS] for k in range(min(DIRECTIONS, len(names)))]:
            reason = self.reason(partial(differences, self.stage, group, self.seed))
            yield from (Check("differences", adjoint_name(name), not reason, reason) for name in group)

    def lines(self) -> Iterator[Check]:
        """The closed lines against the chain rule, and the gradients among them against brute force."""
        gradients = self.derivation.gradients
        for line in self.derivation.lines:
            truth = partial(self.stage.truth.__getitem__, line.name)
            expected, _ = guarded(truth if line.name in gradients else partial(self.values.table, line.name))
            yield self.agreement("closed form", line.name, self.computed, line.body, line.index, expected)
        missing = set(gradients) - {line.name for line in self.derivation.lines}
        yield from (Check("closed form", name, False, "there is no such line") for name in sorted(missing))

    def tied(self) -> Iterator[Check]:
        """The closed gradients, and those of the full derivation, against brute force. The point is one with ties."""
        for name in self.derivation.gradients:
            found = [
                self.agreement("ties", name, values, line.body, line.index, self.stage.truth[name])
                for values, lines in ((self.computed, self.derivation.lines), (self.whole, self.full.lines))
                for line in lines
                if line.name == name
            ]
            yield next((check for check in found if not check.passed), Check("ties", name, True))

    def chain_rule(self) -> Iterator[Check]:
        """The full derivation: each adjoint against the contributions to it, and each gradient against brute force."""
        sender = Sender(self.stage, self.full, self.whole)
        for line in self.full.lines:
            check = Check("full", line.name, True)
            if line.name in self.full.gradients:
                check = self.agreement("full", line.name, self.whole, line.body, line.index, self.stage.truth[line.name])
            if check.passed and (reason := self.reason(partial(sender.missing, line.name, self.seed))):
                check = Check("full", line.name, False, reason, after=self.text(line.body, line))
            yield check

    # ---- trees -----------------------------------------------------------------------------------------------------

    def factored(self) -> Iterator[Check]:
        """The trees from which code is made against the flat lines."""
        if not self.derivation.lines:
            return
        for line in self.derivation.lines:
            expected, missing = guarded(partial(self.computed.table, line.name))
            reason = self.reason(partial(self.same_tree, line, expected)) if expected else missing
            yield Check("factor", line.name, not reason, reason, after=_printed(line.tree) if reason else "")

    def same_tree(self, line: Line, expected: Column) -> str:
        read = {name: self.computed.table(name) for name in reads(line.tree)}
        trees = self.stage.trees(read, self.computed.axes)
        sizes = partial(self.computed.magnitudes().sum, line.body, line.index)
        return self.stage.difference(expected, trees.table(line.tree, line.index), line.index, sizes)

    def shown(self) -> Iterator[Check]:
        """Every printed line of the derivation."""
        for name, check in shown(self.derivation, self.rows, self.stage, self.values):
            reason = self.reason(check)
            yield Check("shown", name, not reason, reason)

    # ---- comparing -------------------------------------------------------------------------------------------------

    def agreement(
        self, rule: str, name: str, values: Values, body: Sum, index: tuple[str, ...], expected: Column | None
    ) -> Check:
        """An expression against ``expected``, the values found in another way."""
        if expected is None:
            return Check(rule, name, False, "there is no other value to compare it with")
        reason = self.reason(
            lambda: self.stage.difference(
                expected, values.sum(body, index), index, lambda: values.magnitudes().sum(body, index)
            )
        )
        tree = Line(name, index, body, self.op.equations[0].rhs)
        return Check(rule, name, not reason, reason, after=self.text(body, tree) if reason else "")

    def reason(self, compute: Callable[[], str]) -> str:
        """What is wrong and at which seed; "" if nothing is wrong."""
        return reason_of(compute, f"seed {self.seed}")

    def text(self, body: Sum, at: Step | Line) -> str:
        """An expression in the language, or as its stored terms if it cannot be printed."""
        try:
            return language(to_tree(body, at.index, style_of(self.op, list(self.derivation.forward))))
        except Exception:  # no printer can print every result of a wrong rule, which must still be reported
            return repr(body)


def _printed(tree: Tree) -> str:
    try:
        return language(tree)
    except Exception:  # as above
        return repr(tree)


def _larger(one: Values, before: Sum, other: Values, after: Sum, index: tuple[str, ...]) -> list[Decimal]:
    """At every position, the sum of the absolute values of both sides' terms, to which rounding errors are relative."""
    sizes = [v.magnitudes().sum(body, index) for v, body in ((one, before), (other, after))]
    return one.numbers.plus(*sizes)
