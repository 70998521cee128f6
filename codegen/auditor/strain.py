"""Right formulas that fail in floating point: they overflow, or what they subtract cancels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from codegen.arithmetic import Mpmath
from codegen.auditor.diagnose import diagnose
from codegen.auditor.report import Diagnosis
from codegen.auditor.samples import Sample
from codegen.auditor.trial import Bench, Trial

__all__ = ["Strain", "strain"]

#: An error counts from this part of the largest entry on, and if it is this many times that of the closed form.
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
    exact = trial.shaped(_exact(gradient, bench, sample), trial.axes(gradient)).astype(float)
    scale = float(np.abs(exact).max(initial=0.0))
    error = float(np.abs(got.astype(float) - exact).max(initial=0.0))
    own = float(np.abs(ours - exact).max(initial=0.0))
    if scale and error > COUNTS[bench.dtype] * scale and error > WORSE * own:
        return Strain(trial, f"with {sample.label} digits cancel: it is off by {error / scale:.1g} of the largest entry", None)
    return None


def _exact(gradient: str, bench: Bench, sample: Sample) -> Any:
    """The gradient at 50 digits."""
    arithmetic = Mpmath(DIGITS)
    values = bench.values(bench.system_of(gradient), sample, arithmetic, arithmetic.exact)
    return values.of(gradient)
