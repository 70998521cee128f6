"""The record of what was checked."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

from derive.certify.numbers import NOISE, PART

__all__ = ["Certificate", "Check", "Exact", "merged"]

#: How the tolerance of the numbers reads: see :mod:`derive.certify.numbers`.
DIGITS, FLOOR = -PART.adjusted(), -NOISE.adjusted()


@dataclass(frozen=True)
class Check:
    """One check at every point: a step of the derivation, or a named value of one of its stages.

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
class Exact:
    """One draw of the exact check: the prime, the sizes, and how likely something false is to pass it.

    ``bits`` says that the probability is at most ``2**-bits``. Where the draw found no point, ``skipped`` says why.
    """

    prime: int
    sizes: tuple[tuple[str, int], ...] = ()
    bits: int = 0
    skipped: str = ""


@dataclass(frozen=True)
class Certificate:
    """What was checked of one op, on which sizes and seeds. ``sizes`` holds, for every seed, the lengths of the axes.

    ``strained`` are the kinds of inputs at which every accepted rewriting was rounded to float32 and compared with what it
    replaced, and at which the result was checked to be finite.
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
        """The certificate with further checks, those of a later stage."""
        return replace(self, checks=self.checks + checks)

    def to_json(self) -> str:
        """The certificate as text, the same on every machine: it holds no measured number."""
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


def _draw(exact: Exact) -> dict[str, object]:
    head: dict[str, object] = {"prime": exact.prime}
    if exact.skipped:
        return head | {"skipped": exact.skipped}
    return head | {"sizes": dict(exact.sizes), "false pass": f"at most 2**-{exact.bits}"}


def merged(checks: list[Check], found: list[Check]) -> list[Check]:
    """The checks at one point more: each passes where it passes at every point, and its first failure stands."""
    if not checks:
        return found
    if [(c.rule, c.name) for c in checks] != [(c.rule, c.name) for c in found]:  # only one of them has a point
        return [c for c in [*checks, *found] if not c.passed]
    return [a if not a.passed else b for a, b in zip(checks, found, strict=True)]
