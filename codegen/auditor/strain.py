"""Right formulas that fail in floating point: they overflow, or what they subtract cancels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from codegen.arithmetic import Mpmath
from codegen.auditor.diagnose import diagnose
from codegen.auditor.report import Diagnosis
from codegen.auditor.samples import Sample
from codegen.auditor.trial import Bench, Trial

__all__ = ["Strain", "strain"]

#: An error counts from this part of the largest entry on, and if it is this many times what the closed form in the same
#: precision is off by, or the exact gradient of inputs that were rounded once more.
COUNTS, WORSE = {"float64": 1e-6, "float32": 1e-2}, 100.0
DIGITS = 50


@dataclass(frozen=True)
class Strain:
    """The trial on which a submission fails where the closed form does not, and how."""

    trial: Trial
    reason: str
    diagnosis: Diagnosis | None


def strain(gradient: str, bench: Bench, sample: Sample, trials: Sequence[Trial]) -> Strain | None:
    """What goes wrong in a gradient on one sample that strains arithmetic; None if nothing does.

    ``trials`` are those on which it is right. The yardstick is the closed form evaluated in the same precision: where that
    fails too, the input says nothing.
    """
    trial = bench.try_on(sample)
    ours = trial.expected(gradient).astype(float)
    if not np.isfinite(ours).all():
        return None
    if trial.error or trial.got is None or gradient not in trial.got:
        return Strain(trial, f"with {sample.label} it raises {trial.error}", None)
    got = trial.got[gradient]
    if got.shape == ours.shape and not np.isfinite(got).all():
        kind = "not a number" if np.isnan(got).any() else "infinite"
        return Strain(trial, f"with {sample.label} it is {kind}", diagnose(gradient, [trial, *trials]))
    exact = _exact(gradient, trial)
    scale = float(np.abs(exact).max(initial=0.0))
    error = _apart(got, exact)
    if not scale or error <= COUNTS[bench.dtype] * scale or error <= WORSE * _apart(ours, exact):
        return None
    if error <= WORSE * _apart(_exact(gradient, trial, _rounded_again(sample, bench.dtype)), exact):
        return None  # nobody could do better: the input itself is not known well enough
    return Strain(trial, f"with {sample.label} digits cancel: it is off by {error / scale:.1g} of the largest entry", None)


def _apart(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a.astype(float) - b).max(initial=0.0))


def _rounded_again(sample: Sample, dtype: str) -> Sample:
    """The sample with every number moved by at most one unit in its last place."""
    rng = np.random.default_rng(0)

    def moved(value: np.ndarray) -> np.ndarray:
        return value if value.dtype.kind != "f" else value * (1 + np.finfo(dtype).eps * rng.choice([-1, 1], value.shape))

    return replace(sample, tensors={n: moved(v) for n, v in sample.tensors.items()})


def _exact(gradient: str, trial: Trial, sample: Sample | None = None) -> np.ndarray:
    """The gradient at 50 digits, on the trial's sample or another of its sizes."""
    arithmetic, bench = Mpmath(DIGITS), trial.bench
    values = bench.values(bench.system_of(gradient), sample or trial.sample, arithmetic, arithmetic.exact)
    return trial.shaped(values.of(gradient), trial.axes(gradient)).astype(float)
