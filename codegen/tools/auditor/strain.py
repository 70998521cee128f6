"""Right formulas that fail in floating point, by overflow or by cancellation."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from codegen.tools.auditor.counterexample import counterexample
from codegen.tools.auditor.diagnose import diagnose
from codegen.tools.auditor.hearing import Hearing
from codegen.tools.auditor.report import BUT, Finding
from codegen.tools.auditor.samples import Strain, small_samples, strained, strains
from codegen.tools.auditor.trial import Bench, Trial
from derive.syntax import adjoint_name

__all__ = ["strain"]

#: An error counts from this multiple of the error of the op's own forms, and of the rounding unit of the largest entry.
WORSE, UNITS = 100.0, 1000.0
#: The number of small inputs that are tried, and the part of the error that a small input must show.
TRIES, LIKE = 60, 0.1


def strain(heard: Hearing, names: Sequence[str], dtype: str) -> Iterator[Finding]:
    """Findings on gradients that lose digits, on strained inputs, which neither the chain rule nor the closed form loses.

    Both are evaluated in the submission's precision, the chain rule on the author's equations. All three are compared with the
    value at 50 digits. An input on which neither form is finite does not count.
    """
    bench = replace(heard.main.bench, dtype=dtype)
    op, free, found = bench.op, bench.free, set()
    for kind in strains(op, dtype == "float64"):
        trials: list[Trial] = []
        for name in (n for n in names if n not in found):
            trials = trials or [bench.try_on(s) for s in strained(op, free, kind)]
            if reason := _loss(name, trials):
                found.add(name)
                small = _smallest(name, bench, kind, trials)
                largest = max(t.compare(name).largest for t in heard.main.trials)
                slip = None if np.isfinite(small.error) else diagnose(name, [small.trial, *heard.main.trials])
                yield Finding(name, BUT, largest, reason, slip, counterexample(name, small.trial, small.exact))


@dataclass(frozen=True)
class _Loss:
    """The loss on one input: ``error`` is relative to the largest entry, and infinite where the result is not finite."""

    trial: Trial
    error: float
    exact: np.ndarray


def _loss(name: str, trials: Sequence[Trial]) -> str:
    """A sentence on a gradient that loses digits on one kind of input; "" where it does not."""
    worst = _worst(name, trials)
    if worst is None:
        return ""
    label, got = worst.trial.sample.label, (worst.trial.got or {}).get(name)
    if got is None:
        return f"with {label} it raises {worst.trial.error}"
    if not np.isfinite(got).all():
        return f"with {label} it is {'not a number' if np.isnan(got).any() else 'infinite'}"
    return f"with {label} digits cancel: it is off by {worst.error / _size(worst.exact):.1g} of the largest entry"


def _worst(name: str, trials: Sequence[Trial]) -> _Loss | None:
    """The loss on the trial on which a gradient is worst beside its yardsticks; None where it is as good on all trials."""
    kept = [(t, y) for t in trials if (y := _yardsticks(name, t))]
    for trial, _ in kept:
        if not _finite(name, trial):
            return _Loss(trial, math.inf, _exact(name, trial))
    # Most trials need no evaluation at 50 digits: a result that agrees with a yardstick is as good as it.
    pairs = [(t, t.got[name], y) for t, y in kept if t.got]
    if all(min(_apart(got, y) - _rounding(t, y) for y in ys) <= 0 for t, got, ys in pairs):
        return None
    losses, allowed = [], 0.0
    for trial, got, ys in pairs:
        exact = _exact(name, trial)
        losses.append(_Loss(trial, _apart(got, exact), exact))
        allowed = max(allowed, *(WORSE * _apart(y, exact) for y in ys))
    counted = [x for x in losses if _size(x.exact) > _nothing(x.trial) and x.error > max(allowed, _rounding(x.trial, x.exact))]
    return max(counted, key=lambda x: x.error / _size(x.exact), default=None)


def _smallest(name: str, bench: Bench, kind: Strain, trials: Sequence[Trial]) -> _Loss:
    """The smallest input of a kind on which the gradient loses about as much."""
    worst = _worst(name, trials)
    assert worst is not None
    free = replace(bench.free, passed=frozenset())
    for sample in islice(small_samples(bench.op, free), TRIES):
        found = _worst(name, [bench.try_on(kind.of(bench.op, free, sample))])
        if found and (found.error == worst.error or found.error > LIKE * worst.error):
            return found
    return worst


def _size(value: np.ndarray) -> float:
    return float(np.abs(value).max(initial=0.0))


def _finite(name: str, trial: Trial) -> bool:
    got = (trial.got or {}).get(name)
    return got is not None and bool(np.isfinite(got).all())


def _yardsticks(name: str, trial: Trial) -> list[np.ndarray]:
    """The gradient by the chain rule and by the closed form, in the precision of the trial, where they are finite."""
    systems = ((trial.bench.chain, trial.chain), (trial.bench.closed, trial.closed))
    found = [trial.shaped(v.of(name), trial.bench.axes(name)).astype(float) for s, v in systems if name in s.equations]
    return [f for f in found if np.isfinite(f).all()]


def _exact(name: str, trial: Trial) -> np.ndarray:
    return trial.shaped(trial.bench.exact(name, trial.sample), trial.bench.axes(name)).astype(float)


def _nothing(trial: Trial) -> float:
    """The size up to which a gradient is negligible beside the upstream gradients, as where a function saturates."""
    largest = max(float(np.abs(trial.sample.tensors[adjoint_name(t.name)]).max(initial=0.0)) for t in trial.bench.op.outputs)
    return UNITS * float(np.finfo(trial.bench.dtype).eps) * largest


def _rounding(trial: Trial, value: np.ndarray) -> float:
    """The error that counts as rounding: ``UNITS`` rounding units of the largest entry."""
    return UNITS * float(np.finfo(trial.bench.dtype).eps) * _size(value)


def _apart(a: np.ndarray, b: np.ndarray) -> float:
    apart = float(np.abs(a.astype(float) - b).max(initial=0.0)) if a.shape == b.shape else math.inf
    return apart if math.isfinite(apart) else math.inf
