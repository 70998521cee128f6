"""Float32 errors of an emitted kernel beside those of autograd at strained points, against brute force with many digits."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from types import ModuleType
from typing import Any

import numpy as np
import torch

import derive
from codegen.backends.arrays.discovery import arrays
from codegen.load import load_source
from codegen.plan import plan
from codegen.program import Kernel
from codegen.verify.agreement import packed
from codegen.verify.reference import evaluate
from derive import syntax as st
from derive.certify.stage import Stage
from derive.points import Point
from derive.strain.points import Strained, strained_points

UNIT = 2.0**-24
#: What is nothing but the rounding of many digits: a zero, of which there is no relative error.
ZERO = 1e-40
#: Below this float32 has lost digits to underflow, whatever the form.
LEAST = 1e-20
#: How much larger than autograd's an error may be, at the quantiles of one kind of strain. The largest is a matter of luck.
ALLOWED = {0.5: 4.0, 0.75: 4.0, 0.9: 8.0}

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Case:
    """One strained point: arrays of float32 and labels, constants, and the same numbers exactly."""

    kind: str
    arrays: Arrays
    constants: dict[str, float]
    exact: Point


def cases(op: st.Op, each: int) -> Iterator[Case]:
    """``each`` points of every kind."""
    strained = strained_points(op)
    tensors = [*op.inputs, *(st.Tensor(f"d{t.name}", t.axes) for t in op.outputs)]
    taken: dict[str, int] = {}
    for p, kind in enumerate(strained.kinds):
        taken[kind] = taken.get(kind, 0) + 1
        if taken[kind] <= each:
            yield _case(op, strained, tensors, p)


def _case(op: st.Op, strained: Strained, tensors: list[st.Tensor], p: int) -> Case:
    points, arrays, tables = len(strained.kinds), {}, {}
    for t in tensors:
        entries = strained.tables[t.name].entries
        count = len(entries) // points
        values = entries[p * count : (p + 1) * count]
        shape = [strained.grid.length(a) for a in t.axes]
        arrays[t.name] = np.array(values, dtype=np.int64 if t.integer else np.float32).reshape(shape)
        tables[t.name] = [int(v) if t.integer else Fraction(v) for v in values]
    constants = {c.name: float(strained.tables[c.name].entries[p]) for c in op.constants}
    tables |= {name: [Fraction(value)] for name, value in constants.items()}
    return Case(strained.kinds[p], arrays, constants, Point(dict(strained.grid.sizes), tables))


def kernel_of(op: st.Op) -> tuple[Kernel, ModuleType]:
    kernel = plan(derive.derive(op))
    return kernel, load_source(f"conditioned_{op.name}", arrays("torch").text(kernel, "tests"))


def by_kernel(op: st.Op, kernel: Kernel, module: ModuleType, case: Case) -> Arrays:
    """Outputs and gradients of the emitted torch kernel, whose functions are those that autograd's side calls."""
    values = {name: torch.tensor(array) for name, array in case.arrays.items()}
    for t in (*op.inputs, *op.outputs):
        name = t.name if t in op.inputs else st.adjoint_name(t.name)
        values[name] = packed(op, t.name, values[name])

    def call(name: str, program: Any) -> Any:
        given = {c.name: case.constants[c.name] for c in program.constants}
        return getattr(module, name)(*(values[a.name] for a in program.arguments), **given)

    outputs, saved = call(kernel.forward.name, kernel.forward)
    outputs = [outputs] if len(op.outputs) == 1 else outputs
    values |= {t.name: s for t, s in zip(kernel.saved, saved, strict=True)}
    gradients = call(kernel.backward.name, kernel.backward)
    gradients = [gradients] if len(kernel.backward.results) == 1 else gradients
    named = {t.name: o.numpy() for t, o in zip(op.outputs, outputs, strict=True)}
    return named | {name: g.numpy() for name, g in zip(kernel.backward.results, gradients, strict=True)}


def by_autograd(op: st.Op, case: Case) -> Arrays:
    """The same from the author's equations in torch, term by term, and its autograd."""
    leaves = {t.name: torch.tensor(case.arrays[t.name], requires_grad=not t.integer) for t in op.inputs}
    values = evaluate(op, leaves, case.constants)
    outputs = [values[t.name] for t in op.outputs]
    upstream = [torch.tensor(case.arrays[f"d{t.name}"]) for t in op.outputs]
    wanted = [leaves[t.name] for t in op.differentiable]
    found = torch.autograd.grad(outputs, wanted, upstream, allow_unused=True)
    gradients = [torch.zeros_like(w) if g is None else g for w, g in zip(wanted, found, strict=True)]
    named = {t.name: o.detach().numpy() for t, o in zip(op.outputs, outputs, strict=True)}
    return named | {f"d{t.name}": g.numpy() for t, g in zip(op.differentiable, gradients, strict=True)}


def exactly(op: st.Op, case: Case) -> dict[str, list[float]] | None:
    """The same by reverse accumulation over the equations, with many digits; None where an output has no finite value."""
    stage = Stage(op, case.exact)
    if not stage.finite():
        return None
    outputs = {t.name: stage.author.nodes[t.name].array.values for t in op.outputs}
    return {name: [float(v) for v in values] for name, values in (outputs | stage.truth).items()}


def error(found: float, wanted: float) -> float:
    if abs(wanted) < LEAST and abs(found) < LEAST:
        return 0.0
    return min(abs(found - wanted) / max(abs(wanted), LEAST), 1.0) if math.isfinite(found) else math.inf


@dataclass(frozen=True)
class Worse:
    """A result that the kernel rounds worse than autograd does, under one kind of strain: both errors in units of rounding."""

    name: str
    kind: str
    quantile: float
    kernel: float
    autograd: float


def worse(op: st.Op, each: int) -> list[Worse]:
    """Where the kernel's float32 errors are larger than autograd's by more than is allowed."""
    kernel, module = kernel_of(op)
    errors: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for case in cases(op, each):
        wanted = exactly(op, case)
        if wanted is None:
            continue
        with np.errstate(all="ignore"):
            own, theirs = by_kernel(op, kernel, module, case), by_autograd(op, case)
        for name, values in wanted.items():
            for k, value in enumerate(values):
                if ZERO < abs(value) < 3e38:
                    pair = error(float(own[name].flat[k]), value), error(float(theirs[name].flat[k]), value)
                    errors.setdefault((name, case.kind), []).append(pair)
    return [w for (name, kind), pairs in errors.items() if (w := _compared(name, kind, pairs)) is not None]


def _compared(name: str, kind: str, pairs: list[tuple[float, float]]) -> Worse | None:
    own, theirs = (sorted(e) for e in zip(*pairs, strict=True))
    for q, factor in ALLOWED.items():
        k = int(q * (len(own) - 1))
        if own[k] > factor * (theirs[k] + 2 * UNIT):
            return Worse(name, kind, q, own[k] / UNIT, theirs[k] / UNIT)
    return None
