"""The findings of an audit, and their wording."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, replace

import numpy as np

from derive import syntax as st
from derive.language.unicode import equation_text
from derive.show.solved import in_op

__all__ = ["BUT", "CHOICE", "CORRECT", "WRONG", "Counterexample", "Diagnosis", "Finding", "Remark", "Report", "formula"]

CORRECT, CHOICE, BUT, WRONG = "correct", "correct, another choice at ties", "correct, but", "wrong"
#: The verdicts, from the best to the worst.
ORDER = (CORRECT, CHOICE, BUT, WRONG)
WIDTH = 100
#: The digits shown of a number, and the digits where fewer would not show a difference.
DIGITS, ALL = 6, 17


@dataclass(frozen=True)
class Diagnosis:
    """The change that turns the right formula into the submission's: ``kind`` is its kind, ``text`` a sentence on it.

    ``where`` is the name whose equation was changed, and ``formula`` the right equation.
    """

    kind: str
    text: str
    where: str
    formula: str


def formula(op: st.Op, equation: st.Equation) -> str:
    """An equation of an op as a diagnosis shows it."""
    return equation_text(replace(equation, rhs=in_op(op, equation.rhs)))


@dataclass(frozen=True)
class Counterexample:
    """An input on which the submission fails. Where it raised, ``got`` is None and ``error`` is the error's text."""

    sizes: tuple[tuple[str, int], ...]
    arguments: tuple[tuple[str, np.ndarray | float], ...]
    expected: np.ndarray
    got: np.ndarray | None
    error: str = ""


@dataclass(frozen=True)
class Finding:
    """The verdict on one gradient; ``largest`` is its largest error, relative to the sum of its absolute terms."""

    gradient: str
    verdict: str
    largest: float
    reason: str = ""
    diagnosis: Diagnosis | None = None
    counterexample: Counterexample | None = None


@dataclass(frozen=True)
class Remark:
    """A verdict on the submission as a whole: on arguments that it writes to, or arguments for which it raises."""

    verdict: str
    text: str


@dataclass(frozen=True)
class Report:
    """The verdicts on a submission. ``note`` says what was assumed, such as the number of axes of ``*s``."""

    op: str
    submission: str
    dtype: str
    findings: tuple[Finding, ...]
    note: str = ""
    remarks: tuple[Remark, ...] = ()

    @property
    def verdict(self) -> str:
        """The worst of the verdicts."""
        found = [*(f.verdict for f in self.findings), *(r.verdict for r in self.remarks)]
        return max(found, key=ORDER.index, default=CORRECT)

    @property
    def correct(self) -> bool:
        """Whether every gradient is correct or a valid choice, and no remark asks for a change."""
        return self.verdict in (CORRECT, CHOICE)

    def __getitem__(self, gradient: str) -> Finding:
        """The finding on one gradient (KeyError if it was not audited)."""
        for finding in self.findings:
            if finding.gradient == gradient:
                return finding
        raise KeyError(gradient)

    def __str__(self) -> str:
        width = max((len(f.gradient) for f in self.findings), default=0)
        lines = [f"{self.submission}, audited as {self.op} in {self.dtype}: {self.verdict}"]
        lines += _wrapped(f"  ({self.note})", 3) if self.note else []
        for r in self.remarks:
            lines += _wrapped(f"  {r.text}", 4)
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
    expected, got = _apart(example)
    return [*lines, *_listed([(f"{gradient}, expected", expected), (f"{gradient}, got", got)])]


def _apart(example: Counterexample) -> tuple[str, str]:
    """The expected and the actual gradient as text, with as many digits as are needed to see a difference."""
    if example.got is None:
        return _number(example.expected), example.error.partition(" (line ")[0] or "nothing"
    pairs = ((_number(example.expected, d), _number(example.got, d)) for d in range(DIGITS, ALL + 1))
    last = ("", "")
    for last in pairs:
        if last[0] != last[1]:
            break
    if last[0] == last[1] and example.expected.shape == example.got.shape:  # the difference is in entries that are left out
        at = np.unravel_index(np.argmax(np.abs(example.expected - example.got)), example.expected.shape)
        where = f"at [{', '.join(map(str, at))}]: "
        last = f"{where}{example.expected[at]!s}", f"{where}{example.got[at]!s}"
    return last


def _listed(pairs: list[tuple[str, str]]) -> list[str]:
    lines = []
    for name, value in pairs:
        first, *rest = value.splitlines() or [""]
        lines.append(f"      {name} = {first}")
        lines += [" " * (len(name) + 9) + line for line in rest]
    return lines


def _number(value: np.ndarray | float, digits: int = DIGITS) -> str:
    with np.printoptions(precision=digits, suppress=False, threshold=24, edgeitems=2, linewidth=WIDTH - 20):
        return str(np.asarray(value))
