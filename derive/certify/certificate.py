"""The record of what was checked."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

from derive.certify.numbers import NOISE, PART

__all__ = ["Certificate", "Check", "Exact", "merged"]

#: The exponents of the tolerance, for certificates: see :mod:`derive.certify.numbers`.
DIGITS, FLOOR = -PART.adjusted(), -NOISE.adjusted()


@dataclass(frozen=True)
class Check:
    """One check, made at every point: of a step of the derivation, or of a named value of one of its stages.

    If the check failed, ``reason`` says why, and ``before`` and ``after`` are the two sides of the step.
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
class Exact:
    """One draw of the exact check: the prime, the lengths of axes, and a bound of the probability that an error passes.

    That probability is at most ``2**-bits``. If the draw found no point, ``skipped`` says why.
    """

    prime: int
    sizes: tuple[tuple[str, int], ...] = ()
    bits: int = 0
    skipped: str = ""


@dataclass(frozen=True)
class Certificate:
    """The checks of one op. ``sizes`` has the lengths of the axes for every seed.

    ``strained`` are the kinds of strained points. At these, every accepted rewriting was compared in float32 with the form
    that it replaced, and the result was checked to be finite.
    """

    op: str
    seeds: tuple[int, ...]
    sizes: tuple[tuple[tuple[str, int], ...], ...]
    checks: tuple[Check, ...]
    exact: tuple[Exact, ...] = ()
    strained: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        return bool(self.checks) and not self.failures

    @property
    def failures(self) -> tuple[Check, ...]:
        return tuple(c for c in self.checks if not c.passed)

    def extended(self, checks: tuple[Check, ...]) -> Certificate:
        """The certificate with the checks of a later stage added."""
        return replace(self, checks=self.checks + checks)

    def to_json(self) -> str:
        """The certificate as JSON. It has no measured numbers, and so is the same on every machine."""
        head = {
            "op": self.op,
            "passed": self.passed,
            "tolerance": f"1e-{DIGITS} of the sum of the absolute values of the terms, and 1e-{FLOOR}",
            "points": [{"seed": s, "sizes": dict(z)} for s, z in zip(self.seeds, self.sizes, strict=True)],
            "exact": [_draw(e) for e in self.exact],
            "strained": list(self.strained),
        }
        lines = [f"  {json.dumps(k)}: {json.dumps(v)}," for k, v in head.items()]
        checks = [f"    {json.dumps(_entry(c), ensure_ascii=False)}" for c in self.checks]
        return "\n".join(["{", *lines, '  "checks": [', ",\n".join(checks), "  ]", "}", ""])

    def summary(self) -> str:
        """One line: the number of checks that passed, or the first rule that failed and the name on which it failed."""
        count = f"{len(self.checks)} checks at {len(self.seeds)} points"
        if self.passed:
            return f"passed: {count}"
        first = next(iter(self.failures), None)
        where = f", first '{first.rule}' on {first.name}: {first.reason}" if first else ""
        return f"FAILED: {len(self.failures)} of {count}{where}"


def _entry(check: Check) -> dict[str, object]:
    entry: dict[str, object] = {"rule": check.rule, "name": check.name, "passed": check.passed}
    return entry | {k: v for k in ("reason", "before", "after") if (v := getattr(check, k))}


def _draw(exact: Exact) -> dict[str, object]:
    head: dict[str, object] = {"prime": exact.prime}
    if exact.skipped:
        return head | {"skipped": exact.skipped}
    return head | {"sizes": dict(exact.sizes), "false pass": f"at most 2**-{exact.bits}"}


def merged(checks: list[Check], found: list[Check]) -> list[Check]:
    """The checks, joined with those ``found`` at one more point.

    A check passes if it passes at every point. Its first failure is kept.
    """
    if not checks:
        return found
    if [(c.rule, c.name) for c in checks] != [(c.rule, c.name) for c in found]:  # one of them has no point
        return [c for c in [*checks, *found] if not c.passed]
    return [a if not a.passed else b for a, b in zip(checks, found, strict=True)]
