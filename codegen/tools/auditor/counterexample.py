"""The smallest input on which a submission fails: few entries, whole numbers, and as many zeros as possible."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

import numpy as np

from codegen.tools.auditor.report import Counterexample
from codegen.tools.auditor.samples import Sample, small_samples
from codegen.tools.auditor.trial import Bench, Trial

__all__ = ["counterexample", "smallest"]

#: The most inputs that are tried.
TRIES = 120
#: A difference is seen at a glance from this part of the largest entry on.
PLAIN = 0.01
#: Larger values come from a degenerate case, such as a row without variance.
TAME = 100.0


def smallest(gradient: str, bench: Bench, failed: Trial) -> Counterexample:
    """The smallest failing input found, preferably one on which the failure is plain; ``failed`` is known to fail."""
    found: dict[int, Trial] = {}
    for sample in islice(small_samples(bench.op, bench.free), TRIES):
        trial = bench.try_on(sample)
        if _fails(gradient, trial) and (not trial.error or failed.error):
            found.setdefault(_plainness(gradient, trial), trial)
        if BEST in found:
            break
    if not found or not max(found):
        return counterexample(gradient, found.get(0, failed))
    return counterexample(gradient, _shrunk(gradient, found[max(found)]))


#: The best plainness: the difference is seen at a glance, no value is degenerate, and the gradient's terms do not cancel.
BEST = 3


def _plainness(gradient: str, trial: Trial) -> int:
    """How plain a case is: 0 where no difference is seen, else 1, and 1 more for each property of an ordinary case."""
    if not _plain(gradient, trial):
        return 0
    values = [trial.value(e.name) for e in trial.bench.op.equations]
    tame = all(np.abs(np.asarray(v, dtype=float)).max(initial=0.0) < TAME for v in values)
    want = float(np.abs(trial.expected(gradient)).max(initial=0.0))
    got = (trial.got or {}).get(gradient)
    other = 0.0 if got is None or got.dtype.kind not in "fiu" else float(np.abs(got).max(initial=0.0))
    return 1 + tame + (want > PLAIN * other)


def _fails(gradient: str, trial: Trial) -> bool:
    """Whether the submission is wrong on an input on which all gradients are defined."""
    return trial.defined and not trial.compare(gradient).right


def _plain(gradient: str, trial: Trial) -> bool:
    """Whether the difference is seen at a glance: an error, another shape, or numbers that are far apart."""
    got = (trial.got or {}).get(gradient)
    want = trial.expected(gradient)
    if got is None or got.shape != want.shape or got.dtype.kind not in "fiu" or not np.isfinite(got).all():
        return True
    scale = max(float(np.abs(want).max(initial=0.0)), float(np.abs(got).max(initial=0.0)))
    return float(np.abs(got - want).max(initial=0.0)) > PLAIN * scale


def _shrunk(gradient: str, trial: Trial) -> Trial:
    """The trial with as many entries set to zero as possible, so that it still fails as plainly and in the same way."""
    plainness = _plainness(gradient, trial)
    for sample in islice(_simpler(trial), TRIES):
        kept = {n: np.where(sample.tensors[n] == 0, 0, v).astype(v.dtype) for n, v in trial.sample.tensors.items()}
        other = trial.bench.try_on(replace(trial.sample, tensors=kept))
        same = str(other.error) == str(trial.error) and _fails(gradient, other)
        if same and _plainness(gradient, other) >= plainness:
            trial = other
    return trial


def _simpler(trial: Trial) -> Iterator[Sample]:
    given = {n for n, _ in trial.bench.free.given}
    for name, value in trial.sample.tensors.items():
        bound = name in given or any(_reads(a, name) for a in trial.bench.op.assumptions)
        if value.dtype.kind == "f" and not bound:
            for at in np.argwhere(value):
                zeroed = value.copy()
                zeroed[tuple(at)] = 0
                yield replace(trial.sample, tensors={**trial.sample.tensors, name: zeroed})


def _reads(assumption: object, name: str) -> bool:
    return getattr(getattr(assumption, "left", None), "name", None) == name


def counterexample(gradient: str, trial: Trial, exact: np.ndarray | None = None) -> Counterexample:
    """A trial as an example, with arrays in the caller's layout; ``exact`` is a more precise gradient, if one is known."""
    bench = trial.bench
    sizes = tuple((a, n) for a, n in trial.sample.sizes.items() if not (bench.rank == 0 and a in bench.op.stars))
    got = None if trial.got is None else trial.got.get(gradient)
    want = trial.expected(gradient)
    if got is not None and got.shape == want.shape:
        got = trial.arranged(gradient, _collapsed(got, trial, gradient))
    expected = trial.arranged(gradient, trial.value(gradient) if exact is None else _collapsed(exact, trial, gradient))
    return Counterexample(sizes, tuple(trial.arguments().items()), expected, got, str(trial.error or ""))


def _collapsed(value: np.ndarray, trial: Trial, name: str) -> np.ndarray:
    """The value with each ``*s`` reshaped to a single axis, as the systems have it."""
    return value.reshape([int(np.prod(trial.lengths(a), dtype=int)) for a in trial.bench.axes(name)])
