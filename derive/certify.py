"""Certificates: every step of a derivation and its result, checked in numbers at random points.

Names are bound to their definitions: forward names to theirs, adjoints to what the chain rule says. Then

* ``forward``: each name of the author's, as it is computed, has the value that the equations give it as written;
* ``chain rule``: each adjoint collects what the definitions that read its name send to it, measured by a small change;
* every other rule: both sides of the step are equal;
* ``condition``: the right side of a rewriting for accuracy loses no digits where the left side does not;
* ``closed form``: each line, computed from the other lines alone, equals the chain rule's adjoint, and each gradient equals
  the brute-force derivative of the equations as written;
* ``full``: so does the derivation that keeps the adjoint of every equation.

Nothing here knows a rule, so a wrong one shows as the step in which it was applied.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from typing import TypeVar

from derive.adjoint import whole_adjoint
from derive.condition import harder, worse
from derive.derivation import Derivation, Step
from derive.engine import derive_full, style_of
from derive.evaluate import (
    MP,
    REAL,
    STEP,
    ZERO,
    Author,
    NoPoint,
    Point,
    Table,
    Total,
    Values,
    brute_force,
    point,
    random_of,
    sizes_of,
)
from derive.factor import to_tree
from derive.flatten import Definition
from derive.rounding import ACCURATE
from derive.terms import Sum, sum_reads
from derive.unicode import language

__all__ = ["Certificate", "Check", "certify"]

T = TypeVar("T")

DIGITS = 50
TOLERANCE = MP.mpf(10) ** -DIGITS
#: What is nothing but rounding and the error of a difference, at points where everything is of order 1.
FLOOR = 70
NOISE = MP.mpf(10) ** -FLOOR


@dataclass(frozen=True)
class Check:
    """One check at every point: a step of the derivation, or a named value of its result.

    ``before`` and ``after`` are the two sides of a step that failed, ``reason`` what was found.
    """

    rule: str
    name: str
    passed: bool
    reason: str = ""
    before: str = ""
    after: str = ""

    def __str__(self) -> str:
        if self.passed:
            return f"{self.rule}: {self.name}"
        sides = f"\n  before: {self.before}\n  after:  {self.after}" if self.before or self.after else ""
        return f"{self.rule}: {self.name}: {self.reason}{sides}"


@dataclass(frozen=True)
class Certificate:
    """What was checked of one op, on which sizes and seeds. ``sizes`` holds, for every seed, the lengths of the axes."""

    op: str
    seeds: tuple[int, ...]
    sizes: tuple[tuple[tuple[str, int], ...], ...]
    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        return bool(self.checks) and not self.failures

    @property
    def failures(self) -> tuple[Check, ...]:
        return tuple(c for c in self.checks if not c.passed)

    def to_json(self) -> str:
        """The certificate as text, the same on every machine: it holds no measured number."""
        head = {
            "op": self.op,
            "passed": self.passed,
            "tolerance": f"1e-{DIGITS} of the sum of the absolute values of the terms, and 1e-{FLOOR}",
            "points": [{"seed": s, "sizes": dict(z)} for s, z in zip(self.seeds, self.sizes, strict=True)],
        }
        lines = [f"  {json.dumps(k)}: {json.dumps(v)}," for k, v in head.items()]
        checks = [f"    {json.dumps(_entry(c), ensure_ascii=False)}" for c in self.checks]
        return "\n".join(["{", *lines, '  "checks": [', ",\n".join(checks), "  ]", "}", ""])

    def summary(self) -> str:
        """One line: passed with how many checks, or the first rule that failed and on which name."""
        count = f"{len(self.checks)} checks at {len(self.seeds)} points"
        if self.passed:
            return f"passed: {count}"
        first = next(iter(self.failures), None)
        where = f", first '{first.rule}' on {first.name}: {first.reason}" if first else ""
        return f"FAILED: {len(self.failures)} of {count}{where}"


def _entry(check: Check) -> dict[str, object]:
    entry: dict[str, object] = {"rule": check.rule, "name": check.name, "passed": check.passed}
    return entry | {k: v for k in ("reason", "before", "after") if (v := getattr(check, k))}


def certify(derivation: Derivation, seeds: tuple[int, ...] = (0, 1)) -> Certificate:
    """Check a derivation at one random point for every seed. Failures are reported in the certificate, never raised."""
    op = derivation.op
    full = derive_full(op)
    sizes: list[tuple[tuple[str, int], ...]] = []
    checks: list[Check] = []
    for seed in seeds:
        try:
            at = point(op, seed)
        except NoPoint as error:
            found = [Check("point", op.name, False, str(error))]
        else:
            found = _Checker(derivation, full, at, seed).run()
        checks = _merged(checks, found)
        sizes.append(tuple(sizes_of(op, seed).items()))
    return Certificate(op.name, tuple(seeds), tuple(sizes), tuple(checks))


def _merged(checks: list[Check], found: list[Check]) -> list[Check]:
    """A check passes where it passes at every point; the first failure stands."""
    if not checks:
        return found
    if [(c.rule, c.name) for c in checks] != [(c.rule, c.name) for c in found]:  # only one of them has a point
        return [c for c in [*checks, *found] if not c.passed]
    return [a if not a.passed else b for a, b in zip(checks, found, strict=True)]


class _Checker:
    """The checks of one derivation at one point."""

    def __init__(self, derivation: Derivation, full: Derivation, at: Point, seed: int):
        self.derivation, self.full, self.at, self.seed = derivation, full, at, seed
        self.op = derivation.op
        self.written = Values(at, derivation.written)
        known = {d.name for d in derivation.stable}
        self.made = [d for d in derivation.forward if d.name not in known]
        self.values = Values(at, [*derivation.stable, *self.made, *derivation.chain])
        self.computed = Values(at, [*derivation.forward, *derivation.lines])

    def run(self) -> list[Check]:
        truth = self.truth()
        steps = [self.step(s) for s in self.derivation.steps]
        return [*self.forward(), *steps, *self.conditions(), *self.lines(truth), *self.chain_rule(truth)]

    def truth(self) -> Mapping[str, Table]:
        """The brute-force gradients; none where the equations cannot be evaluated exactly."""
        found, _ = _guarded(lambda: brute_force(self.op, self.at))
        return found or {}

    def forward(self) -> list[Check]:
        """The author's names that the derivation keeps, as its definitions and as the equations give them."""
        truth = Author(self.op, self.at, REAL).run(self.at.mp())
        out = []
        for d in self.derivation.forward:
            if d.author:
                out.append(self.compared("forward", d.name, self.computed, d.body, d.index, truth.get(d.name)))
        return out

    def step(self, step: Step) -> Check:
        if step.rule == "chain rule":
            reason = self.sent(step.name, self.derivation, self.values) or self.differ(step, self.values)
        else:
            reason = self.differ(step, self.written if step.rule == "stabilise" else self.values)
        check = Check(step.rule, step.name, not reason, reason)
        if reason:
            check = replace(check, before=self.text(step.before, step.index), after=self.text(step.after, step.index))
        return check

    def conditions(self) -> list[Check]:
        """The steps that were taken for the sake of accuracy alone."""
        values = Values(harder(self.derivation, self.at), [*self.derivation.stable, *self.made, *self.derivation.chain])
        out = []
        for step in [s for s in self.derivation.steps if s.rule in ACCURATE]:
            reason = self.reason(partial(worse, step, values))
            sides = [self.text(body, step.index) if reason else "" for body in (step.before, step.after)]
            out.append(Check("condition", step.name, not reason, reason, *sides))
        return out

    def differ(self, step: Step, values: Values) -> str:
        """Why the two sides of a step are not equal, or nothing."""

        def both() -> str:
            return _difference(values.sum(step.before, step.index), self.values.sum(step.after, step.index))

        return self.reason(both)

    def lines(self, truth: Mapping[str, Table]) -> list[Check]:
        """The closed lines against the chain rule, and the gradients among them against brute force."""
        derivation = self.derivation
        out = []
        for line in derivation.lines:
            if line.name in derivation.gradients:
                expected = truth.get(line.name)
            else:
                expected, _ = _guarded(partial(self.values.table, line.name))
            out.append(self.compared("closed form", line.name, self.computed, line.body, line.index, expected))
        missing = set(derivation.gradients) - {line.name for line in derivation.lines}
        return [*out, *(Check("closed form", name, False, "there is no such line") for name in sorted(missing))]

    def chain_rule(self, truth: Mapping[str, Table]) -> list[Check]:
        """The full derivation: every adjoint against the definitions that read its name, the gradients against brute force."""
        values = Values(self.at, [*self.full.forward, *self.full.lines])
        out = []
        for line in self.full.lines:
            if line.name in self.full.gradients:
                check = self.compared("full", line.name, values, line.body, line.index, truth.get(line.name))
            else:
                check = Check("full", line.name, True)
            if check.passed and (reason := self.sent(line.name, self.full, values)):
                check = Check("full", line.name, False, reason, after=self.text(line.body, line.index))
            out.append(check)
        return out

    def compared(
        self, rule: str, name: str, values: Values, body: Sum, index: tuple[str, ...], expected: Table | None
    ) -> Check:
        """One expression against its values found in another way."""
        if expected is None:
            return Check(rule, name, False, "there is no other value to compare it with")

        def both() -> str:
            total = values.sum(body, index)
            return _difference(total, Total(expected, dict.fromkeys(expected, 0.0)))

        reason = self.reason(both)
        return Check(rule, name, not reason, reason, after=self.text(body, index) if reason else "")

    def reason(self, compute: Callable[[], str]) -> str:
        """What is wrong and at which seed, or nothing."""
        found, missing = _guarded(compute)
        reason = found or missing
        return f"{reason} (seed {self.seed})" if reason else ""

    # ---- the adjoint statement ---------------------------------------------------------------------------------------

    def sent(self, adjoint: str, derivation: Derivation, values: Values) -> str:
        """Why an adjoint is not the sum of what is sent to it, or nothing.

        For ``v = f(u, ...)`` and any direction ``r``, ``v`` sends ``sum(dv * df(u + h*r)/dh)`` to ``sum(du * r)``.
        """

        def measured() -> str:
            own = {self.adjoint_of(name, derivation): name for name in [t.name for t in self.op.inputs] + _names(derivation)}
            name = own[adjoint]
            du = values.table(adjoint)
            rng = random_of(self.op.name, self.seed, "direction", name)
            r = {k: REAL.number(Fraction(rng.randrange(125_000, 975_000), 1_000_003)) for k in du}
            expected, scale = sum((du[k] * r[k] for k in du), ZERO), sum(abs(float(du[k] * r[k])) for k in du)
            found = ZERO
            if adjoint != f"d{name}":  # an output that other equations read too: what comes from outside is part of it
                upstream = values.table(f"d{name}")
                found += sum((upstream[k] * r[k] for k in du), ZERO)
            for d in derivation.stable:
                dv = self.adjoint_of(d.name, derivation)
                if name in sum_reads(d.body) and (dv in values.definitions or dv in values.tables):
                    part, size = _directional(values, d, values.table(dv), name, r)
                    found += part
                    scale += size
            return "" if _agree(expected, found, scale) else "it is not what the definitions that read the name send to it"

        return self.reason(measured)

    def adjoint_of(self, name: str, derivation: Derivation) -> str:
        """The name of the whole adjoint of a name; that of an output which other equations read is not its upstream's."""
        if name in {t.name for t in self.op.outputs}:
            whole = whole_adjoint(name, {t.name for t in self.op.inputs} | {d.name for d in derivation.stable})
            if whole in {d.name for d in derivation.chain}:
                return whole
        return f"d{name}"

    # ---- what failed -------------------------------------------------------------------------------------------------

    def text(self, body: Sum, index: tuple[str, ...]) -> str:
        """An expression in the language; its terms as they are stored where it has no such form."""
        try:
            return language(to_tree(body, index, style_of(self.op, list(self.derivation.forward))))
        except Exception:  # a wrong rule may leave what no printer was made for, and must still be reported
            return repr(body)


def _directional(values: Values, d: Definition, dv: Table, name: str, r: Table) -> tuple[object, float]:
    """``sum(dv * d(body)/dh)`` along ``u + h*r`` by a central difference, and the sum of absolute values."""
    u = values.table(name)
    runs = []
    for h in (STEP, -STEP):
        moved = values.replaced(d.body, name, {k: u[k] + h * r[k] for k in u})
        runs.append(moved.sum(d.body, d.index).value)
    parts = [dv[k] * (runs[0][k] - runs[1][k]) / (2 * STEP) for k in dv if dv[k]]
    return sum(parts, ZERO), sum(abs(float(p)) for p in parts)


def _agree(a: object, b: object, scale: float) -> bool:
    return bool(abs(a - b) <= TOLERANCE * MP.mpf(scale) + NOISE)  # type: ignore[operator]


def _difference(one: Total, other: Total) -> str:
    """Where two expressions differ, or nothing; they agree too where both are undefined."""
    if one.value.keys() != other.value.keys():
        return "the shapes differ"
    for k, a in one.value.items():
        b = other.value[k]
        if MP.isnan(a) and MP.isnan(b):
            continue
        if not _agree(a, b, max(one.scale[k], other.scale[k])):
            at = f" at [{', '.join(map(str, k))}]" if k else ""
            return f"{MP.nstr(a, 6)} against {MP.nstr(b, 6)}{at}"
    return ""


def _names(derivation: Derivation) -> list[str]:
    return [d.name for d in derivation.forward]


def _guarded(compute: Callable[[], T]) -> tuple[T | None, str]:
    """The value and nothing, or None and in words why there is no value."""
    try:
        return compute(), ""
    except KeyError as error:
        return None, f"nothing defines {error.args[0]}"
    except ArithmeticError as error:
        return None, f"it has no value: {error}"
