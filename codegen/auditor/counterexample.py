"""The smallest input on which a submission fails: few entries, whole numbers, as many zeros as can be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from codegen.auditor.report import Counterexample
from codegen.auditor.samples import Sample, small_samples
from codegen.auditor.trial import Bench, Trial

__all__ = ["counterexample", "smallest"]

#: How many inputs are tried at most.
TRIES = 60


def smallest(gradient: str, bench: Bench, failed: Trial) -> Counterexample:
    """The smallest failing input found; ``failed`` is one that is known to fail."""
    fixed = dict(bench.submission.fixed)
    if bench.rank != 1:
        fixed |= {s: 1 if bench.rank == 0 else 2 for s in bench.op.stars}
    for number, sample in enumerate(small_samples(bench.op, fixed)):
        if number == TRIES:
            break
        trial = bench.try_on(sample)
        if _fails(gradient, trial) and (not trial.error or failed.error):
            return counterexample(gradient, _shrunk(gradient, trial))
    return counterexample(gradient, failed)


def _fails(gradient: str, trial: Trial) -> bool:
    """Whether the submission is wrong on an input that the gradient is defined on."""
    return bool(np.isfinite(trial.expected(gradient)).all()) and not trial.compare(gradient).right


def _shrunk(gradient: str, trial: Trial) -> Trial:
    """The trial with entries set to zero for as long as it fails, in the same way."""
    for number, sample in enumerate(_simpler(trial)):
        if number == TRIES:
            break
        kept = {n: np.where(sample.tensors[n] == 0, 0, v) for n, v in trial.sample.tensors.items()}
        other = trial.bench.try_on(replace(trial.sample, tensors=kept))
        if _fails(gradient, other) and other.error == trial.error:
            trial = other
    return trial


def _simpler(trial: Trial) -> Iterator[Sample]:
    for name, value in trial.sample.tensors.items():
        if value.dtype.kind == "f" and not any(_reads(a, name) for a in trial.bench.op.assumptions):
            for at in np.argwhere(value):
                zeroed = value.copy()
                zeroed[tuple(at)] = 0
                yield replace(trial.sample, tensors={**trial.sample.tensors, name: zeroed})


def _reads(assumption: object, name: str) -> bool:
    return getattr(getattr(assumption, "left", None), "name", None) == name


def counterexample(gradient: str, trial: Trial) -> Counterexample:
    """One trial as an example."""
    arguments = tuple(trial.arguments().items())
    sizes = tuple((a, n) for a, n in trial.sample.sizes.items() if not (trial.bench.rank == 0 and a in trial.bench.op.stars))
    got = None if trial.got is None else trial.got.get(gradient)
    return Counterexample(sizes, arguments, trial.expected(gradient), got, trial.error)
