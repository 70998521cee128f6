"""The grading of an exercise, gradient by gradient, with the auditor's comparison and diagnosis."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from codegen.auditor.diagnose import diagnose
from codegen.auditor.samples import random_samples
from codegen.auditor.submission import Submission, to_library, to_numpy, uses_torch
from codegen.auditor.system import chain_system
from codegen.auditor.trial import Bench, Trial
from codegen.workbook.blanks import Exercise
from codegen.workbook.stepper import Stepped, step_through
from derive import derive_full

__all__ = ["Grade", "grade"]


@dataclass(frozen=True)
class Grade:
    """What one blank was filled with: equal to the bit, or within rounding, and the largest difference.

    ``line`` is 0 for a blank that was left empty. ``remark`` says what is wrong.
    """

    name: str
    line: int
    exact: bool
    approximate: bool
    largest: float
    remark: str = ""

    def __str__(self) -> str:
        if not self.line:
            return f"{self.name:16} not done"
        answers = f"exact: {self.exact!s:5} | approximate: {self.approximate!s:5} | largest difference: {self.largest:.3g}"
        remark = f"\n{'':16} {self.remark}" if self.remark else ""
        return f"{self.name:16} line {self.line:<4} {answers}{remark}"


def grade(exercise: Exercise, function: Callable[..., Any]) -> tuple[Grade, ...]:
    """Grade every blank by itself, from right values for all that it reads."""
    system = chain_system(derive_full(exercise.op))
    names = tuple(b.name for b in exercise.blanks)
    tensors = uses_torch(function)
    runs: list[Stepped] = []

    def call(values: Mapping[str, Any]) -> dict[str, np.ndarray]:
        runs.append(step_through(function, {n: to_library(v, tensors) for n, v in values.items()}, names))
        return {n: to_numpy(v) for n, v in runs[-1].values.items() if v is not ...}

    op = exercise.op
    upstream = tuple(f"d{t.name}" for t in op.outputs)
    parameters = (*(t.name for t in op.inputs), *(c.name for c in op.constants), *upstream, *system.equations)
    bench = Bench(system, system, Submission(function.__name__, parameters, names, call), "float64", 1)
    with np.errstate(all="ignore"):
        trials = [bench.try_on(s) for s in random_samples(op, {}, parameters)]
        return tuple(_grade(n, trials, runs[0]) for n in names)


def _grade(name: str, trials: list[Trial], run: Stepped) -> Grade:
    filled = name in run.values and run.values[name] is not ...
    if name in run.errors:
        return Grade(name, run.lines.get(name, 0), False, False, np.inf, f"it raised {run.errors[name]}")
    if not filled:
        return Grade(name, 0, False, False, np.inf)
    results = [t.compare(name) for t in trials]
    if all(r.right for r in results):
        difference, exact = _difference(name, trials[0])
        return Grade(name, run.lines[name], exact, True, difference)
    found = diagnose(name, trials)
    reason = next(r.reason for r in results if not r.right)
    remark = found.text if found else reason or "no single slip in the formula explains it"
    difference = _difference(name, trials[0])[0] if not reason else np.inf
    return Grade(name, run.lines[name], False, False, difference, remark)


def _difference(name: str, trial: Trial) -> tuple[float, bool]:
    assert trial.got is not None
    got, want = trial.got[name], trial.expected(name)
    return float(np.abs(got - want).max(initial=0.0)), bool(np.array_equal(got, want))
