"""One run of a submission on one sample, beside what the op's equations give."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from codegen.arithmetic import Arithmetic, Numpy
from codegen.auditor.samples import Sample
from codegen.auditor.submission import Submission
from codegen.auditor.system import System, Values
from derive import syntax as st

__all__ = ["Bench", "Comparison", "Trial", "TOLERANCE"]

#: How much of the largest sum of absolute terms a right result may be off.
TOLERANCE = {"float64": 1e-9, "float32": 2e-4}


@dataclass(frozen=True)
class Bench:
    """What all trials of an audit have in common. ``rank`` is the number of axes that ``*s`` stands for."""

    closed: System
    chain: System
    submission: Submission
    dtype: str
    rank: int

    @property
    def op(self) -> st.Op:
        return self.closed.op

    def system_of(self, name: str) -> System:
        """The system that a gradient is taken from: the closed forms where they have it."""
        return self.closed if name in self.closed.equations else self.chain

    def try_on(self, sample: Sample) -> Trial:
        """Run the submission. What it raises is kept as the trial's error."""
        arithmetic = Numpy(self.dtype)
        trial = Trial(self, sample, self.values(self.closed, sample, arithmetic), self.values(self.chain, sample, arithmetic))
        try:
            with np.errstate(all="ignore"):
                return Trial(self, sample, trial.closed, trial.chain, self.submission.call(trial.arguments()))
        except Exception as error:  # anything may go wrong in somebody else's code, and is what is reported
            return Trial(self, sample, trial.closed, trial.chain, {}, f"{type(error).__name__}: {error}")

    def values(self, system: System, sample: Sample, arithmetic: Arithmetic, convert: Any = None) -> Values:
        """The values of a system on a sample in some arithmetic."""

        def array(value: np.ndarray) -> Any:
            if value.dtype.kind in "iu":
                return value
            return convert(value.astype(self.dtype)) if convert else value.astype(self.dtype)

        return Values(system, {n: array(v) for n, v in sample.tensors.items()}, sample.constants, arithmetic)


@dataclass(frozen=True)
class Comparison:
    """Whether a result is right, and its largest error relative to the terms that it is summed from."""

    right: bool
    largest: float
    reason: str = ""


@dataclass(frozen=True)
class Trial:
    """The values of both systems on one sample, and what the submission returned or raised."""

    bench: Bench
    sample: Sample
    closed: Values
    chain: Values
    got: Mapping[str, np.ndarray] | None = None
    error: str = ""

    def values_of(self, name: str) -> Values:
        """The system's values that a gradient is compared with."""
        return self.closed if name in self.bench.closed.equations else self.chain

    def value(self, name: str) -> Any:
        """The right value of any name of the op."""
        closed = name in self.closed.values or name in self.bench.closed.equations
        return (self.closed if closed else self.chain).of(name)

    def arguments(self) -> dict[str, Any]:
        """What the submission is called with."""
        constants = self.sample.constants
        names = self.bench.submission.parameters
        with np.errstate(all="ignore"):
            return {n: constants[n] if n in constants else self.shaped(self.value(n), self.axes(n)) for n in names}

    def axes(self, name: str) -> tuple[str, ...]:
        op = self.bench.op
        tensors = {t.name: t.axes for t in (*op.inputs, *(st.Tensor(f"d{t.name}", t.axes) for t in op.outputs))}
        return tensors[name] if name in tensors else self.bench.system_of(name).equations[name].index

    def shaped(self, value: Any, axes: tuple[str, ...]) -> np.ndarray:
        """The array as the caller has it: its ``*s`` axis as none, one or several."""
        return np.array(value).reshape(self.shape(axes))

    def shape(self, axes: tuple[str, ...]) -> tuple[int, ...]:
        out: list[int] = []
        for a in axes:
            length = self.closed.length(a)
            out += {0: [], 1: [length], 2: [2, length // 2]}[self.bench.rank] if a in self.bench.op.stars else [length]
        return tuple(out)

    def expected(self, name: str) -> np.ndarray:
        """The gradient as the caller should get it."""
        with np.errstate(all="ignore"):
            return self.shaped(self.value(name), self.axes(name))

    def compare(self, name: str) -> Comparison:
        """The submission's gradient beside the expected one."""
        if self.error:
            return Comparison(False, math.inf, f"it raised {self.error}")
        assert self.got is not None
        if name not in self.got:
            return Comparison(False, math.inf, "it is not among what was returned")
        got, want = self.got[name], self.expected(name)
        if got.shape != want.shape:
            return Comparison(False, math.inf, f"its shape is {got.shape} instead of {want.shape}")
        if got.dtype.kind not in "fiu":
            return Comparison(False, math.inf, f"it is of dtype {got.dtype}")
        if not want.size:
            return Comparison(True, 0.0)
        with np.errstate(all="ignore"):
            largest = _error(got, want, self.values_of(name).bound(name))
        return Comparison(largest <= TOLERANCE[self.bench.dtype], largest)


def _error(got: np.ndarray, want: np.ndarray, bound: Any) -> float:
    """The largest error over the largest sum of absolute terms; infinite where only one of the two is a finite number."""
    finite = np.isfinite(want)
    if np.any(finite != np.isfinite(got)):
        return math.inf
    if not finite.any():
        return 0.0
    wanted = want.astype(float)[finite]
    sizes = np.abs(np.asarray(bound, dtype=float))
    scale = max(float(sizes[np.isfinite(sizes)].max(initial=0.0)), float(np.abs(wanted).max()), np.finfo(float).tiny)
    return float(np.abs(got.astype(float)[finite] - wanted).max()) / scale
