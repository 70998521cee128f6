"""What an audit found, and how it is said."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

import numpy as np

__all__ = ["BUT", "CORRECT", "WRONG", "Counterexample", "Diagnosis", "Finding", "Report"]

CORRECT, BUT, WRONG = "correct", "correct, but", "wrong"
WIDTH = 100


@dataclass(frozen=True)
class Diagnosis:
    """What would turn the right formula into the submission: ``kind`` is one of a few words, ``text`` the sentence.

    ``where`` is the name whose equation was altered, and ``formula`` that equation as it should be.
    """

    kind: str
    text: str
    where: str
    formula: str


@dataclass(frozen=True)
class Counterexample:
    """An input on which the submission fails; ``got`` is None where it raised an error, which ``error`` then tells."""

    sizes: tuple[tuple[str, int], ...]
    arguments: tuple[tuple[str, np.ndarray | float], ...]
    expected: np.ndarray
    got: np.ndarray | None
    error: str = ""


@dataclass(frozen=True)
class Finding:
    """The verdict on one gradient; ``largest`` is its largest error relative to the terms that it is summed from."""

    gradient: str
    verdict: str
    largest: float
    reason: str = ""
    diagnosis: Diagnosis | None = None
    counterexample: Counterexample | None = None


@dataclass(frozen=True)
class Report:
    """The verdicts on a submission. ``note`` says what was taken for granted, such as the number of axes of ``*s``."""

    op: str
    submission: str
    dtype: str
    findings: tuple[Finding, ...]
    note: str = ""

    @property
    def verdict(self) -> str:
        """The worst of the verdicts."""
        found = {f.verdict for f in self.findings}
        return WRONG if WRONG in found else BUT if BUT in found else CORRECT

    @property
    def correct(self) -> bool:
        return self.verdict == CORRECT

    def __getitem__(self, gradient: str) -> Finding:
        """The finding on one gradient (KeyError if it was not audited)."""
        for finding in self.findings:
            if finding.gradient == gradient:
                return finding
        raise KeyError(gradient)

    def __str__(self) -> str:
        width = max(len(f.gradient) for f in self.findings)
        lines = [f"{self.submission}, audited as {self.op} in {self.dtype}: {self.verdict}"]
        if self.note:
            lines.append(f"  ({self.note})")
        said: dict[tuple[str, Diagnosis | None], str] = {}
        for f in self.findings:
            reason = f": {f.reason}" if f.reason else ""
            lines += _wrapped(f"  {f.gradient.ljust(width)}  {f.verdict}{reason}", width + 4)
            cause = f.reason, f.diagnosis
            if f.verdict != CORRECT and any(cause) and cause in said:
                lines.append(f"    for the same reason as {said[cause]}")
                continue
            said[cause] = f.gradient
            lines += _cause(f)
        return "\n".join(lines)


def _wrapped(line: str, indent: int) -> list[str]:
    return textwrap.wrap(line, WIDTH, subsequent_indent=" " * indent, drop_whitespace=True, break_long_words=False)


def _cause(finding: Finding) -> list[str]:
    lines = []
    if finding.diagnosis:
        lines += _wrapped(f"    {finding.diagnosis.text}", 4)
        lines += [f"      {finding.diagnosis.formula}"] if finding.diagnosis.formula else []
    elif finding.verdict == WRONG and not finding.reason:
        lines.append("    no single slip in the formula explains it")
    return [*lines, *(_example(finding.gradient, finding.counterexample) if finding.counterexample else [])]


def _example(gradient: str, example: Counterexample) -> list[str]:
    sizes = ", ".join(f"{axis} = {n}" for axis, n in example.sizes)
    lines = [f"    for example with {sizes}:" if sizes else "    for example:"]
    lines += _listed([(n, _number(v)) for n, v in example.arguments])
    got = example.error or "nothing" if example.got is None else _number(example.got)
    return [*lines, *_listed([(f"{gradient}, expected", _number(example.expected)), (f"{gradient}, got", got)])]


def _listed(pairs: list[tuple[str, str]]) -> list[str]:
    lines = []
    for name, value in pairs:
        first, *rest = value.splitlines() or [""]
        lines.append(f"      {name} = {first}")
        lines += [" " * (len(name) + 9) + line for line in rest]
    return lines


def _number(value: np.ndarray | float) -> str:
    with np.printoptions(precision=6, suppress=False, threshold=24, edgeitems=2, linewidth=WIDTH - 20):
        return str(np.asarray(value))
