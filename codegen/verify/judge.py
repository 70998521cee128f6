"""Emitted kernels against the author's equations: a kernel that differs from them is not written.

The reference is the certificate's: the equations as written, at 50 digits, and their gradients by brute force. The reference
shares no code with derivation, planning and printing, and needs no torch.

The points are random. For equations that choose among values there are also points at which values tie or are 0.

A result may differ from the reference by as much as rounding can explain. To estimate this, the equations are evaluated again
with a sway: a small random change of every intermediate result that need not be exact. The tolerance is a few times the change
of the reference's own result. If a sway decides a comparison otherwise, the change is the whole jump.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from types import ModuleType
from typing import Any

import numpy as np

from codegen.backends.backend import Backend
from codegen.backends.discovery import by_name
from codegen.evaluate.arithmetic import Numpy
from codegen.evaluate.trees import Magnitudes
from codegen.locals import local
from codegen.program import Kernel, Program, outputs_of
from codegen.steps import straight
from codegen.verify.tangent import dot_fault, drawn_tangents
from derive import syntax as st
from derive.certify import NoPoint, Stage, point, tied_point
from derive.certify.stage import precise
from derive.certify.swayed import Swayed
from derive.labels import whole_constants
from derive.points import Point

__all__ = ["Verdict", "judge"]

#: The tolerance, relative to a result's largest entry, to its largest terms, and to the change that a sway makes.
OWN, TERMS, SWAYS = 1e-9, 1e-11, 4
#: Seeds of the points at which values tie, and of the sways at each point; each sway is taken in both directions.
TIED, SWAYED = (0, 1, 2, 3), (0,)


@dataclass(frozen=True)
class Verdict:
    """The largest difference of any result, relative to its scale; ``fault`` says what is wrong, or is "".

    The scale of a result is its largest entry, or the largest term that is added up in it. A result that is 0 but for roundings
    has no scale, and counts in ``fault`` alone.
    """

    largest: float
    fault: str = ""


@dataclass(frozen=True)
class Trial:
    """Arguments of the kernels by name, with ``*s`` as one axis, and the results that the equations give for them.

    ``slack`` is, for each entry of a result, the difference that rounding can explain.
    """

    op: st.Op
    sizes: dict[str, int]
    given: dict[str, Any]
    expected: dict[str, Any]
    slack: dict[str, Any]

    @property
    def outputs(self) -> list[str]:
        return [t.name for t in self.op.outputs]

    @property
    def gradients(self) -> list[str]:
        return [st.adjoint_name(t.name) for t in self.op.differentiable]


def judge(kernel: Kernel, module: ModuleType, backend: Backend | str, seeds: tuple[int, ...] = (0, 1)) -> Verdict:
    """Compare the kernels of a module with the equations, in float64, at one random point for every seed and at ties.

    Each ``*s`` is tried as one axis and as two. At the first point, float32 arguments must give float32 results. A
    differentiable op is judged with its kernels. ``backend`` may be a backend's name.
    """
    backend = by_name(backend) if isinstance(backend, str) else backend
    largest = 0.0
    for number, trial in enumerate(_trials(kernel.op, seeds)):
        allowed = _allowed(kernel, trial)
        for split in _splits(kernel.op):
            try:
                with backend.running(), np.errstate(all="ignore"):
                    found = _results(kernel, module, backend, trial, split, np.float64)
                    tangents = _tangents(kernel, module, backend, trial, split)
                    narrow = [] if number else _results(kernel, module, backend, trial, split, np.float32)
            except Exception as error:  # whatever an emitted kernel may raise
                return Verdict(math.inf, f"{type(error).__name__}: {str(error).partition(chr(10))[0]}{_at(trial)}")
            judged = [_difference(kernel, trial, split, name, value, allowed[name]) for name, value in found]
            reasons = [reason for _, reason in judged] + [_promoted(name, value, np.float32) for name, value in narrow]
            if tangents:
                error_of = {n: allowed[n] + SWAYS * trial.slack[n] for n in trial.gradients}
                reasons.append(dot_fault(kernel, tangents, trial.given, trial.expected, error_of))
            if any(reasons):
                return Verdict(math.inf, next(filter(None, reasons)) + _at(trial))
            largest = max([largest, *(off for off, _ in judged)])
    return Verdict(largest)


def _at(trial: Trial) -> str:
    """The sizes of the axes, for a message."""
    return f" ({', '.join(f'{axis} = {n}' for axis, n in trial.sizes.items())})" if trial.sizes else ""


# ---- points -----------------------------------------------------------------------------------------------------------------


def _trials(op: st.Op, seeds: tuple[int, ...]) -> Iterator[Trial]:
    """Random points of the certificate, and points with ties; none where the equations have no finite value."""
    for seed in seeds:
        try:
            drawn = point(op, seed)
        except NoPoint:
            continue
        yield from _trial(op, drawn)
    for seed in TIED if seeds else ():
        if (tied := tied_point(op, seed)) is not None:
            yield from _trial(op, tied)


def _trial(op: st.Op, drawn: Point) -> Iterator[Trial]:
    """The point rounded to doubles, if the outputs are finite there and nothing on the way is beyond what doubles hold."""
    labels = {t.name for t in op.inputs if t.integer}
    tables = {n: v if n in labels else [Fraction(float(x)) for x in v] for n, v in drawn.tables.items()}
    drawn = replace(drawn, tables=tables)
    plain = Stage(op, drawn)
    stage = precise(plain) if plain.finite() else None
    if stage is None:
        return
    axes = {t.name: t.axes for t in op.inputs} | {st.adjoint_name(t.name): t.axes for t in (*op.inputs, *op.outputs)}
    axes |= {t.name: t.axes for t in op.outputs}

    def array(name: str, values: Sequence[Any], dtype: type = float) -> Any:
        return np.array([dtype(v) for v in values]).reshape([drawn.sizes[i] for i in axes.get(name, ())])

    truths = {t.name for t in op.inputs if t.labels == st.TRUTH}
    given = {n: array(n, v, bool if n in truths else int if n in labels else float) for n, v in tables.items()}
    expected = {n: array(n, v) for n, v in _wanted(op, stage).items()}
    swayed = [_wanted(op, Stage(op, drawn, Swayed(seed, sign))) for seed in SWAYED for sign in (1, -1)]
    slack = {n: np.zeros(v.shape) for n, v in expected.items()}
    for other in swayed:
        for n, v in other.items():
            moved = np.abs(array(n, v) - expected[n])
            slack[n] = np.fmax(slack[n], np.where(np.isfinite(moved), moved, 0.0))
    yield Trial(op, drawn.sizes, given, expected, slack)


def _wanted(op: st.Op, stage: Stage) -> dict[str, list[Any]]:
    """The expected values of the outputs and gradients, by name."""
    return {t.name: stage.author.nodes[t.name].array.values for t in op.outputs} | stage.truth


def _splits(op: st.Op) -> Iterator[bool]:
    """Whether each ``*s`` is two axes, the first of length 1, or one."""
    yield from (False, True) if op.stars else (False,)


def _shape(trial: Trial, name: str, axes: tuple[str, ...], split: bool) -> tuple[int, ...]:
    """The shape of a tensor as callers have it."""
    slots = trial.op.packing.slots(name, axes)
    whole = zip(slots, trial.op.packing.shape(name, axes, trial.sizes), strict=True)
    return tuple(n for slot, length in whole for n in ((1, length) if split and slot[0] in trial.op.stars else (length,)))


# ---- runs -------------------------------------------------------------------------------------------------------------------


def _results(
    kernel: Kernel, module: ModuleType, backend: Backend, trial: Trial, split: bool, dtype: type
) -> list[tuple[str, Any]]:
    """The name and value of every output and gradient, and of gradients through the differentiable op if there is one."""
    values = _given(kernel.op, backend, trial, split, dtype)
    outputs, known = _forward(kernel, module, backend, values)
    backward, arguments = backend.called(getattr(module, kernel.backward.name)), _arguments(kernel.backward, known)
    gradients = backward(*arguments)
    found = list(zip(trial.outputs, outputs_of(kernel.op, outputs), strict=True))
    found += zip(trial.gradients, _several(gradients, len(trial.gradients)), strict=True)
    if backend.chooses and len(trial.gradients) > 1:
        for k, name in enumerate(trial.gradients):
            found.append((name, backward(*arguments, **{local(kernel, "wanted"): (name,)})[k]))
    found += backend.gradients(kernel, module, values)
    return [(name, backend.back(value)) for name, value in found]


def _tangents(kernel: Kernel, module: ModuleType, backend: Backend, trial: Trial, split: bool) -> Sequence[Any]:
    """The tangents of the outputs, for random ones of the inputs; none where the backend has no kernel for them."""
    if kernel.tangent is None or not backend.forward_mode:
        return ()
    values = _given(kernel.op, backend, trial, split, float)
    _, known = _forward(kernel, module, backend, values)
    for (name, v), t in zip(drawn_tangents(kernel, trial.given).items(), kernel.op.differentiable, strict=True):
        known[name] = backend.to(v.reshape(_shape(trial, t.name, t.axes, split)))
    found = backend.called(getattr(module, kernel.tangent.name))(*_arguments(kernel.tangent, known))
    return [backend.back(v) for v in _several(found, len(kernel.tangent.results))]


def _given(op: st.Op, backend: Backend, trial: Trial, split: bool, dtype: type) -> dict[str, Any]:
    """The arguments and the constants as the kernels take them."""
    axes = {t.name: t.axes for t in op.inputs} | {st.adjoint_name(t.name): t.axes for t in op.outputs}
    values: dict[str, Any] = {}
    for name, v in trial.given.items():
        array = (v.astype(dtype) if v.dtype.kind == "f" else v).reshape(_shape(trial, name, axes.get(name, ()), split))
        values[name] = _number(op, name, v) if name not in axes else backend.to(array)
    return values


def _forward(kernel: Kernel, module: ModuleType, backend: Backend, values: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The outputs, and the arguments with what the forward saves."""
    outputs, saved = backend.called(getattr(module, kernel.forward.name))(*_arguments(kernel.forward, values))
    return outputs, values | dict(zip([t.name for t in kernel.saved], saved, strict=True))


def _number(op: st.Op, name: str, value: Any) -> float | int:
    """A constant as callers give it: an integer where it is the length of an axis or is compared with positions."""
    return int(value) if name in op.length_constants | whole_constants(op) else float(value)


def _arguments(program: Program, values: Mapping[str, Any]) -> list[Any]:
    return [*(values[a.name] for a in program.arguments), *(values[c.name] for c in program.constants)]


def _several(found: Any, count: int) -> Sequence[Any]:
    return [found] if count == 1 else found


# ---- differences ------------------------------------------------------------------------------------------------------------


def _difference(kernel: Kernel, trial: Trial, split: bool, name: str, found: Any, allowed: float) -> tuple[float, str]:
    """The difference of a result from the equations' value, relative to its scale; and the fault, in words or ""."""
    axes = {t.name: t.axes for t in kernel.op.outputs} | {st.adjoint_name(t.name): t.axes for t in kernel.op.differentiable}
    shape = _shape(trial, name, axes[name], split)
    if found.shape != shape:
        return math.inf, f"{name} has the shape {found.shape} instead of {shape}"
    if promoted := _promoted(name, found, np.float64):
        return math.inf, promoted
    expected = trial.expected[name]
    largest, off = _largest(expected), _distances(found.reshape(expected.shape), expected)
    bad = off > max(OWN * largest, allowed) + SWAYS * trial.slack[name]
    if not bad.any():
        return _largest(off) / _scale(trial, name, allowed / TERMS), ""
    return math.inf, f"{name} is off by {off[bad].max():.3g}, where its largest entry is {largest:.3g}"


def _scale(trial: Trial, name: str, terms: float) -> float:
    """What a difference is relative to: the largest entry of the result or of its terms; infinite for one that is 0.

    A result is 0 but for roundings where those explain all of it, or where it is less than a rounding of the largest of all.
    """
    largest, rounding = _largest(trial.expected[name]), float(np.finfo(float).eps)
    if largest <= max(SWAYS * _largest(trial.slack[name]), rounding * max(map(_largest, trial.expected.values()))):
        return math.inf
    return max(largest, terms)


def _promoted(name: str, found: Any, dtype: type) -> str:
    """The fault that a result has another dtype than the arguments, in words; "" where it has the same."""
    return "" if found.dtype == dtype else f"{name} is {found.dtype} where the arguments are {np.dtype(dtype)}"


def _distances(a: Any, b: Any) -> Any:
    """The differences of the entries of two arrays; infinite where one entry is NaN and the other is not."""
    with np.errstate(invalid="ignore"):
        off = np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0.0, np.abs(a - b))
    return np.nan_to_num(off, nan=math.inf)


def _largest(array: Any) -> float:
    finite = array[np.isfinite(array)]
    return float(np.abs(finite).max(initial=0.0))


def _allowed(kernel: Kernel, trial: Trial) -> dict[str, float]:
    """The tolerance for each name by the terms added up in it: a part of the planned formula's largest sum of terms."""
    given = {t.name: trial.given[t.name] for t in kernel.op.inputs}
    constants = {c.name: float(trial.given[c.name]) for c in kernel.op.constants}
    found, terms = Magnitudes(kernel.op, given, constants, Numpy()), {}
    found.values |= {st.adjoint_name(t.name): trial.given[st.adjoint_name(t.name)] for t in kernel.op.outputs}
    found.size |= trial.sizes
    with np.errstate(all="ignore"):
        for e in (*straight(kernel.forward, trial.sizes), *straight(kernel.backward, trial.sizes)):
            terms[e.name] = found.magnitude(e.rhs)[0]
            value, own = found.value(e.rhs)
            found.values[e.name], found.axes[e.name] = found.spread(value, own, e.index), e.index
    return {name: TERMS * _largest(np.asarray(found)) for name, found in terms.items()}
