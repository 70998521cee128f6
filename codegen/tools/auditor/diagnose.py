"""Why a gradient is wrong: one slip in the right formula that gives the submission's result on every sample."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import partial
from itertools import permutations

import numpy as np

from codegen.tools.auditor.alterations import Alteration, Scope, alterations, unread
from codegen.tools.auditor.fit import distributed, fitted
from codegen.tools.auditor.report import Diagnosis, formula
from codegen.tools.auditor.steps import overwritten, slips_of_steps
from codegen.tools.auditor.system import System, Values
from codegen.tools.auditor.trial import Trial
from derive import syntax as st
from derive.show.solved import in_op

__all__ = ["diagnose"]

#: The most equations that a search may evaluate. Ten times as many would take some three seconds.
BUDGET = 8000
#: The tolerance between an altered formula and the submission that it explains, relative to the largest entry.
SAME = {"float64": 1e-7, "float32": 1e-3}
NOISE = {"float64": 1e-13, "float32": 1e-5}


def diagnose(gradient: str, trials: Sequence[Trial]) -> Diagnosis | None:
    """The slip that explains a gradient on all trials; None if no single one does."""
    if not trials or any(t.error or t.got is None or gradient not in t.got or not t.numeric(gradient) for t in trials):
        return None
    first = trials[0]
    if all(not t.fits(gradient) and _reshaped(gradient, t) for t in trials):
        got, wanted = first.got[gradient].shape, first.caller_shape(gradient)  # type: ignore[index]
        return Diagnosis("shape", f"the values are right, and the shape is {got} instead of {wanted}", gradient, "")
    spent, quickest = 0, sorted(trials, key=_steps)
    for system, alteration in _candidates(gradient, first):
        spent += 1 + len(system.between(alteration.equation.name, gradient, _given(first)))
        if spent > BUDGET:
            break
        if all(_explains(alteration, gradient, t, system) for t in quickest):
            return _diagnosis(alteration, system)
    return fitted(gradient, trials)


def _reshaped(gradient: str, trial: Trial) -> bool:
    """Whether an array has the right entries in the right order, so that only its shape is wrong."""
    assert trial.got is not None
    got, want = trial.got[gradient], trial.arranged(gradient, trial.value(gradient))
    return got.size == want.size and _close(want.reshape(-1), got.reshape(-1), trial)


def _steps(trial: Trial) -> int:
    """How often names that step together are computed."""
    return max((trial.sample.sizes[c.axis] for c in trial.bench.op.carries), default=0)


def _given(trial: Trial) -> tuple[str, ...]:
    return trial.bench.submission.parameters


def _candidates(gradient: str, trial: Trial) -> Iterator[tuple[System, Alteration]]:
    """Slips in the closed forms, nearest to the gradient first; then in the chain rule, of which a path may be missing."""
    bench = trial.bench
    for system in (bench.closed, bench.chain):
        if gradient not in system.equations:
            continue
        yield system, unread(system.equations[gradient])
        behind = list(system.behind(gradient, _given(trial)))
        for c in (system.carried[n] for n in behind if n in system.carried):
            yield from ((system, a) for a in slips_of_steps(system.op, c))
        behind = [n for n in behind if n not in system.carried]
        if system is bench.chain:
            yield from ((system, unread(system.equations[n])) for n in behind[1:] if st.primal_name(n) in system.equations)
        for names in dict.fromkeys(tuple(n for n in behind if n in system.group(first)) for first in behind):
            yield from ((system, a) for a in _slips(system, names))
        # The slip may be in one term of a sum that the closed form has factored.
        apart = replace(system.equations[gradient], rhs=distributed(system.equations[gradient].rhs))
        yield from ((system, a) for a in alterations(apart, _scope(system, apart)))


def _slips(system: System, names: Sequence[str]) -> Iterable[Alteration]:
    """Slips in the equation of a name, or in those of names that step together: there names mistaken for others come last."""
    equations = [system.equations[n] for n in names]
    each = (a for e in equations for a in (*overwritten(system.op, e), *alterations(e, _scope(system, e))))
    return each if len(names) == 1 else sorted(each, key=lambda a: a.kind == "another name")


def _scope(system: System, equation: st.Equation) -> Scope:
    """The scope of an equation: names that are defined before it, and the constants' defaults."""
    op = system.op
    tensors = {t.name: t.axes for t in op.inputs if not t.integer} | {st.adjoint_name(t.name): t.axes for t in op.outputs}
    for e in system.equations.values():
        if e.name == equation.name:
            break
        if e.name in {c.first for c in op.carries}:  # another name of what is read there
            continue
        tensors[e.name] = e.index
    defaults = {c.name: Fraction(c.default or "1") for c in op.constants}
    return Scope(tensors, defaults, equation.index, shown=partial(in_op, op))


def _diagnosis(alteration: Alteration, system: System) -> Diagnosis:
    name = alteration.equation.name
    if name in system.carried:  # its equation is no line of a derivation
        return Diagnosis(alteration.kind, alteration.text, system.carried[name].of, "")
    return Diagnosis(alteration.kind, alteration.text, name, formula(system.op, system.equations[name]))


def _explains(alteration: Alteration, gradient: str, trial: Trial, system: System) -> bool:
    """Whether the altered formula gives what the submission gave on one sample."""
    values = trial.closed if system is trial.bench.closed else trial.chain
    try:
        with np.errstate(all="ignore"):
            found = _Slipped.like(values).altered(alteration.equation, gradient, _given(trial))
    except (ArithmeticError, ValueError, IndexError, KeyError, TypeError):
        return False  # such a slip has no meaning here
    assert trial.got is not None
    return any(_same(value, axes, trial.got[gradient], trial) for value, axes in found)


class _Slipped(Values):
    """Values that can also be computed with the slip of assigning where the right formula accumulates."""

    @classmethod
    def like(cls, values: Values) -> _Slipped:
        out = cls.__new__(cls)
        out.__dict__ = values.__dict__
        return out

    def reduced(
        self, kind: str, index: tuple[str, ...], body: tuple[np.ndarray, tuple[str, ...]]
    ) -> tuple[np.ndarray, tuple[str, ...]]:
        if kind != "last":
            return super().reduced(kind, index, body)
        value, axes = body
        rest = tuple(a for a in axes if a not in index)
        flat = self.fit(value, axes, (*rest, *index)).reshape(*(self.length(a) for a in rest), -1)
        last = flat.shape[-1] - 1 - np.argmax(flat[..., ::-1] != 0, axis=-1)
        return np.take_along_axis(flat, last[..., None], axis=-1)[..., 0], rest


def _same(found: np.ndarray, axes: tuple[str, ...], got: np.ndarray, trial: Trial) -> bool:
    """Whether the arrays agree with the axes in some order: a slip may leave an axis at any position."""
    stars = trial.bench.op.stars
    if trial.bench.rank == 0 and (at := next((k for k, a in enumerate(axes) if a in stars), None)) is not None:
        found, axes = np.take(found, 0, axis=at), axes[:at] + axes[at + 1 :]
    if trial.bench.rank == 2 and any(a in stars for a in axes):
        return got.shape == trial.shape(axes) and _close(found.reshape(got.shape), got, trial)
    if found.ndim != got.ndim or sorted(found.shape) != sorted(got.shape):
        return False
    orders = permutations(range(found.ndim)) if found.ndim < 5 else [tuple(range(found.ndim))]
    return any(
        tuple(found.shape[k] for k in order) == got.shape and _close(found.transpose(order), got, trial) for order in orders
    )


def _close(found: np.ndarray, got: np.ndarray, trial: Trial) -> bool:
    assert trial.got is not None
    finite = np.isfinite(got)
    if not np.array_equal(finite, np.isfinite(found)):
        return False
    scale = float(np.abs(got[finite]).max(initial=0.0))
    # A sum that is zero in exact arithmetic has the rounding errors of its terms.
    noise = NOISE[trial.bench.dtype] * max(
        (float(np.abs(v[np.isfinite(v)]).max(initial=0.0)) for v in trial.got.values()), default=0.0
    )
    return bool(np.all(np.abs(found[finite] - got[finite]) <= SAME[trial.bench.dtype] * scale + noise))
