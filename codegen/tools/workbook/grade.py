"""The grading of an exercise, gradient by gradient, with the auditor's comparison and diagnosis."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from codegen.backends.arrays.discovery import arrays
from codegen.backends.arrays.libraries import libraries_of, numbers
from codegen.tools.auditor.diagnose import diagnose
from codegen.tools.auditor.memory import CONTIGUOUS, laid_out
from codegen.tools.auditor.samples import Sample, random_samples
from codegen.tools.auditor.submission import Submission
from codegen.tools.auditor.system import System, Values, chain_system
from codegen.tools.auditor.trial import Bench, Trial, right_values
from codegen.tools.workbook.blanks import Exercise
from codegen.tools.workbook.stepper import Filled, Stepped
from derive import derive_full
from derive.syntax import adjoint_name

__all__ = ["Grade", "grade"]


@dataclass(frozen=True)
class Grade:
    """The grade of one blank: whether it is right to the bit, whether it is right within rounding, and its largest difference.

    ``line`` is the line of the file, 0 for a blank that was left empty. ``remark`` says what is wrong.
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
    """Grade every blank by itself, given right values for all names that it reads.

    The gradients that a line reads are random numbers, not gradients of the loss: these may happen to be zero in the network,
    and then any factor would be graded as right. Raises ValueError where the function has no source to step through.
    """
    grader = _Grader(exercise, function)
    with np.errstate(all="ignore"), grader.library.running():
        return tuple(grader.grade(b.name) for b in exercise.blanks)


class _Grader:
    def __init__(self, exercise: Exercise, function: Callable[..., Any]):
        self.op = exercise.op
        self.system: System = chain_system(derive_full(exercise.op))
        self.names = tuple(b.name for b in exercise.blanks)
        self.filled = Filled(function, self.names)
        asked = arrays(exercise.backend).arrays
        found = libraries_of(function) or (asked,)
        self.library = asked if asked in found else found[0]
        upstream = tuple(adjoint_name(t.name) for t in self.op.outputs)
        inputs = (*(t.name for t in self.op.inputs), *(c.name for c in self.op.constants))
        self.parameters = (*inputs, *upstream, *self.system.equations)
        submission = Submission(function.__name__, self.parameters, self.names, lambda values: {}, (self.library,))
        self.bench = Bench(self.system, self.system, submission, "float64", 1)

    def grade(self, name: str) -> Grade:
        found = [self._grade(name, chosen) for chosen in self._chosen(name)]
        return next((g for g in found if g.approximate), found[0])

    def _chosen(self, name: str) -> Iterator[Collection[str]]:
        """The choices of gradients to be random while a blank is graded: first, all gradients that it reads.

        A line may rely on one gradient being computed from others; then only the latter are random.
        """
        behind = set(self.system.behind(name, ()))
        read = self.filled.reads(name) & set(self.names)
        yield read & behind
        first = {n for n in read & behind if not read & (set(self.system.behind(n, ())) - {n})}
        if read - behind or first != read & behind:
            yield first if not read - behind else ()

    def _grade(self, name: str, chosen: Collection[str]) -> Grade:
        samples = random_samples(self.op, self.bench.free)
        worlds = [_world(self.system, s, chosen, np.random.default_rng([k, 6])) for k, s in enumerate(samples)]
        steps = [
            self.filled.step(name, {n: self._given(n, s, w) for n in self.parameters})
            for s, w in zip(samples, worlds, strict=True)
        ]
        first = steps[0]
        if first.error:
            return Grade(name, first.line, False, False, np.inf, f"it raised {first.error}")
        if not first.done:
            return Grade(name, 0, False, False, np.inf)
        trials = [self._trial(name, *parts) for parts in zip(samples, worlds, steps, strict=True)]
        return _graded(name, trials, first)

    def _given(self, name: str, sample: Sample, world: Values) -> Any:
        """The argument that the function gets for a name."""
        constants = sample.constants
        return constants[name] if name in constants else laid_out(np.array(world.of(name)), CONTIGUOUS, self.library)

    def _trial(self, name: str, sample: Sample, world: Values, step: Stepped) -> Trial:
        trial = Trial(self.bench, sample, values=(world, world))
        if step.error or not step.done:
            return replace(trial, got={}, error=step.error)
        got = numbers(step.value)
        return replace(trial, got={name: _unfolded(got, trial.expected(name).shape)})


def _world(system: System, sample: Sample, chosen: Collection[str], rng: np.random.Generator) -> Values:
    """The values of all names where the chosen gradients are random, and the others follow from them."""
    right = right_values(system, sample, "float64")
    forward = {e.name for e in system.op.equations}
    given = {n: right.of(n) for n in forward} | {n: right.values[n] for n in (*sample.tensors, *sample.constants)}
    free = {n: system.equations[n].index for n in sorted(chosen) if n not in sample.tensors}
    drawn = {n: np.asarray(rng.normal(size=[right.length(a) for a in index])) for n, index in free.items()}
    return right.replaced(given | drawn, free)


def _unfolded(got: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The array in ``shape`` if it has neighbouring axes merged, as concatenated embeddings have; else the array itself."""
    rest = list(shape)
    for n in got.shape:
        size = rest.pop(0) if rest else 0
        while size < n and rest:
            size *= rest.pop(0)
        if size != n:
            return got
    return got.reshape(shape) if got.ndim and not rest else got


def _graded(name: str, trials: list[Trial], first: Stepped) -> Grade:
    results = [t.compare(name) for t in trials]
    if all(r.right for r in results):
        difference, exact = _difference(name, trials[0])
        return Grade(name, first.line, exact, True, difference)
    found = diagnose(name, trials)
    reason = next(r.reason for r in results if not r.right)
    remark = found.text if found else reason or "no single slip in the formula explains it"
    difference = _difference(name, trials[0])[0] if not reason else np.inf
    return Grade(name, first.line, False, False, difference, remark)


def _difference(name: str, trial: Trial) -> tuple[float, bool]:
    assert trial.got is not None
    got, want = trial.got[name], trial.expected(name)
    return float(np.abs(got - want).max(initial=0.0)), bool(np.array_equal(got, want))
