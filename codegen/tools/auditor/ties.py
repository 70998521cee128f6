"""Gradients where values tie or are zero: every generalized gradient is a valid choice.

There the derivative is a matter of convention: the derivative of ``relu`` at 0, or how two equal maxima share the gradient. The
valid choices are Clarke's generalized gradients: the convex combinations of the limits of gradients at points nearby. A vector
is such a combination if, in every direction, its component is at most the largest component of these limits. This is tested in
many random directions, against the gradients at random points nearby. Source: Clarke, Optimization and Nonsmooth Analysis
(1983), sections 2.1 and 2.5.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice

import numpy as np

from codegen.tools.auditor.counterexample import counterexample
from codegen.tools.auditor.diagnose import diagnose
from codegen.tools.auditor.hearing import Hearing
from codegen.tools.auditor.report import BUT, CHOICE, Finding
from codegen.tools.auditor.samples import Sample, kinked, small_samples
from codegen.tools.auditor.trial import Trial, right_values

__all__ = ["at_ties"]

#: The numbers of small inputs, of points near each input, and of directions.
INPUTS, NEARBY, DIRECTIONS = 60, 300, 200
#: The distance of the points nearby, and the tolerance for a gradient's change over it, relative to the largest entry.
STEP, SLACK = 1e-6, 1e-3


def at_ties(heard: Hearing, names: Sequence[str]) -> Iterator[Finding]:
    """Findings on gradients that differ from the op's at ties and zeros: valid choices, or wrong."""
    bench = heard.main.bench
    first = [bench.try_on(s) for s in kinked(bench.op, bench.free)]
    other = {n: t for n in names if (t := next((t for t in first if _differs(n, t)), None))}
    if not other:
        return
    # With few entries, random points meet all gradients nearby. All gradients are tested together, since they share a choice.
    small = [bench.try_on(s) for s in islice(small_samples(bench.op, bench.free, -1, 2), INPUTS)]
    telling = [t for t in small if any(_differs(n, t) for n in names)] or list(other.values())
    together = [n for n in bench.submission.gradients if n in heard.main.right]
    invalid = next((t for t in telling if not _valid(together, t)), None)
    for name, trial in other.items():
        largest = max(t.compare(name).largest for t in heard.main.trials)
        diagnosis = diagnose(name, [trial, *heard.main.trials])
        if invalid is None and not trial.error:
            yield Finding(name, CHOICE, largest, "", diagnosis)
            continue
        reason = "where values tie or are zero it is no gradient of the op from any side"
        shown = invalid if invalid is not None and _differs(name, invalid) else trial
        if shown.error:
            reason = f"where values tie or are zero it raised {shown.error}"
        yield Finding(name, BUT, largest, reason, diagnosis, counterexample(name, shown))


def _differs(name: str, trial: Trial) -> bool:
    return trial.defined and not trial.compare(name).right


def _valid(names: Sequence[str], trial: Trial) -> bool:
    """Whether the gradients, taken together, are a generalized gradient."""
    if trial.error or trial.got is None or not all(map(trial.fits, names)):
        return False
    found = np.concatenate([np.ravel(trial.got[n]).astype(float) for n in names])
    rng = np.random.default_rng(5)
    moved = [t.name for t in trial.bench.op.differentiable]
    nearby = np.array([_gradients(names, trial, _moved(trial.sample, moved, rng)) for _ in range(NEARBY)])
    if not np.isfinite(found).all() or not np.isfinite(nearby).all():
        return False
    size = found.size
    directions = np.concatenate([np.eye(size), np.ones((1, size)), rng.normal(size=(DIRECTIONS, size))])
    most, least = (directions @ nearby.T).max(axis=1), (directions @ nearby.T).min(axis=1)
    along = directions @ found
    slack = SLACK * np.abs(directions).sum(axis=1) * max(float(np.abs(nearby).max()), np.finfo(float).tiny)
    return bool(np.all(along <= most + slack) and np.all(along >= least - slack))


def _gradients(names: Sequence[str], trial: Trial, sample: Sample) -> np.ndarray:
    """The right gradients on another sample, concatenated."""
    bench = trial.bench
    values = [right_values.__wrapped__(s, sample, "float64") for s in (bench.closed, bench.chain)]
    return np.concatenate(
        [np.ravel((values[0] if n in bench.closed.equations else values[1]).of(n)).astype(float) for n in names]
    )


def _moved(sample: Sample, names: Sequence[str], rng: np.random.Generator) -> Sample:
    """The sample with every entry of these inputs moved a little at random."""
    moved = {n: sample.tensors[n] + STEP * rng.normal(size=sample.tensors[n].shape) for n in names}
    return replace(sample, tensors={**sample.tensors, **moved})
