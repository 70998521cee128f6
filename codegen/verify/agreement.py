"""Emitted kernels against autograd: what the table of ``make derive`` reports, and what the tests assert."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from itertools import islice
from types import ModuleType
from typing import Any

import numpy as np
import torch

from codegen.backends.backend import Backend
from codegen.backends.discovery import by_name, load_kernel
from codegen.labels import drawn_labels
from codegen.lengths import chosen_axes, roomy, whole_numbers
from codegen.program import Kernel, outputs_of
from codegen.verify.reference import evaluate
from derive import syntax as st

__all__ = [
    "Agreement",
    "agreement",
    "autograd",
    "constants_of",
    "load_kernel",
    "relative_difference",
    "run_kernel",
    "sample",
    "sample_lengths",
]


@dataclass(frozen=True)
class Agreement:
    """The largest difference of any gradient from autograd's, relative to the gradient's largest entry."""

    backend: str
    largest: float


def sample_lengths(op: st.Op, rng: np.random.Generator) -> dict[str, int]:
    """A length for every axis; axes that the op declares equal get the same length."""
    return roomy(op, {a: int(rng.integers(3, 8)) for a in chosen_axes(op)}, whole_numbers(op))


def sample(op: st.Op, seed: int, dtype: torch.dtype = torch.float64, scale: float = 1.0) -> dict[str, torch.Tensor]:
    """Random inputs by name: values that respect the op's assumptions, and labels in range."""
    rng = np.random.default_rng([seed, int.from_bytes(hashlib.sha256(op.name.encode()).digest()[:4])])
    size = sample_lengths(op, rng)
    signs = {a.left.name: a.rel for a in op.assumptions if isinstance(a.left, st.Read)}
    out = {}
    for t in op.inputs:
        shape = tuple(size[a] for a in t.axes)
        if t.labels is not None:
            out[t.name] = torch.from_numpy(drawn_labels(op, t, size, constants_of(op), rng))
        else:
            values = np.asarray(rng.normal(rng.normal(), 1.0, shape)) * scale
            if signs.get(t.name, "")[:1] == ">":
                values = np.abs(values) + 0.1
            elif signs.get(t.name, "")[:1] == "<":
                values = -np.abs(values) - 0.1
            out[t.name] = torch.from_numpy(np.asarray(values)).to(dtype)
    return out


def constants_of(op: st.Op, seed: int = 0) -> dict[str, float]:
    """The constants by name: their defaults for seed 0, else random numbers, so that a default of 0 hides no error.

    A constant that is the length of an axis, or is compared with positions, has its default, or 2.
    """
    rng = np.random.default_rng(seed)
    found = {c.name: float(rng.uniform(0.1, 0.9)) if seed else float(c.default or 1.0) for c in op.constants}
    return found | whole_numbers(op)


def packed(op: st.Op, name: str, value: torch.Tensor) -> torch.Tensor:
    """The values or the gradient of a tensor, as callers have them. A starred axis may be any number of axes here."""
    if not op.packing.packs(name):
        return value
    axes, shape = op.tensor(name).axes, iter(value.shape)
    lengths = {a: tuple(islice(shape, value.ndim - len(axes) + 1 if a in op.stars else 1)) for a in axes}
    slots = op.packing.slots(name, axes)
    packs = (lengths[s[0]] if s[0] in op.stars else (math.prod(n for a in s for n in lengths[a]),) for s in slots)
    return value.reshape([n for found in packs for n in found])


def unpacked(op: st.Op, name: str, value: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """The reverse, where the value has the caller's shape of a tensor ``like`` this one; else the value itself."""
    return value.reshape(like.shape) if value.shape == packed(op, name, like).shape else value


def autograd(
    op: st.Op, inputs: dict[str, torch.Tensor], upstream: list[torch.Tensor], constants: dict[str, float]
) -> list[torch.Tensor]:
    """The gradients of the op's equations by torch's autograd."""
    leaves = {n: v.detach().clone().requires_grad_(v.is_floating_point()) for n, v in inputs.items()}
    values = evaluate(op, leaves, constants)
    outputs = [values[t.name] for t in op.outputs]
    wanted = [leaves[t.name] for t in op.differentiable]
    return list(torch.autograd.grad(outputs, wanted, upstream, allow_unused=True, materialize_grads=True))


def run_kernel(
    kernel: Kernel,
    module: ModuleType,
    backend: str,
    inputs: dict[str, torch.Tensor],
    upstream: list[torch.Tensor],
    constants: dict[str, float],
) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Outputs and gradients of the emitted forward and backward on one input; all tensors have the axes of the equations."""
    found, op = by_name(backend), kernel.op
    with found.running():
        made = _run(kernel, module, found, inputs, upstream, constants)
        tensors = [[v if isinstance(v, torch.Tensor) else torch.tensor(found.back(v)) for v in r] for r in made]
    names = [[t.name for t in op.outputs], [t.name for t in op.differentiable]]
    plain = [upstream, [inputs[n] for n in names[1]]]
    rows = zip(names, tensors, plain, strict=True)
    outputs, gradients = ([unpacked(op, n, v, p) for n, v, p in zip(*row, strict=True)] for row in rows)
    return outputs, gradients


def _run(
    kernel: Kernel,
    module: ModuleType,
    backend: Backend,
    inputs: dict[str, torch.Tensor],
    upstream: list[torch.Tensor],
    constants: dict[str, float],
) -> tuple[list[Any], list[Any]]:
    op = kernel.op
    values = {n: backend.to(packed(op, n, v)) for n, v in inputs.items()}
    forward = backend.called(getattr(module, kernel.forward.name))
    outputs, saved = forward(*(values[a.name] for a in kernel.forward.arguments), **_given(kernel.forward, constants))
    values |= dict(zip([t.name for t in kernel.saved], saved, strict=True))
    values |= {st.adjoint_name(t.name): backend.to(packed(op, t.name, u)) for t, u in zip(op.outputs, upstream, strict=True)}
    backward = backend.called(getattr(module, kernel.backward.name))
    gradients = backward(*(values[a.name] for a in kernel.backward.arguments), **_given(kernel.backward, constants))
    single = len(kernel.backward.results) == 1
    return outputs_of(op, outputs), [gradients] if single else list(gradients)


def _given(program: Any, constants: dict[str, float]) -> dict[str, float]:
    return {c.name: constants[c.name] for c in program.constants}


def relative_difference(got: torch.Tensor, want: torch.Tensor) -> float:
    """The largest difference over the largest magnitude; infinite where one entry is NaN and the other is not."""
    if not want.numel():
        return 0.0
    if not torch.equal(got.isnan(), want.isnan()):
        return float("inf")
    scale = max(float(want.nan_to_num().abs().max()), 1e-3)
    return float((want - got).nan_to_num().abs().max()) / scale


def agreement(kernel: Kernel, module: ModuleType, backend: str, seeds: tuple[int, ...] = (0, 1, 2)) -> Agreement:
    """The largest relative difference between the emitted backward and autograd, in float64."""
    op, largest = kernel.op, 0.0
    for seed in seeds:
        inputs = sample(op, seed)
        constants = constants_of(op, seed)
        values = evaluate(op, inputs, constants)
        generator = torch.Generator().manual_seed(seed)
        upstream = [torch.randn(values[t.name].shape, generator=generator, dtype=torch.float64) for t in op.outputs]
        expected = autograd(op, inputs, upstream, constants)
        outputs, found = run_kernel(kernel, module, backend, inputs, upstream, constants)
        for want, got in zip([*(values[t.name] for t in op.outputs), *expected], [*outputs, *found], strict=True):
            assert want.shape == got.shape, f"{op.name}: shape {tuple(got.shape)} instead of {tuple(want.shape)}"
            largest = max(largest, relative_difference(got, want))
    return Agreement(backend, largest)
