"""The inputs of a case, what the forward hands the backward, and the gradients that torch's autograd finds."""

from __future__ import annotations

import importlib
import inspect
import mmap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle
from types import ModuleType
from typing import Any

import numpy as np
import torch

import derive

from .cases import BOTH, Case

Array = Any  # numpy.ndarray or torch.Tensor


@dataclass(frozen=True)
class Problem:
    """float32 arrays by name, which all sides share: inputs, upstream gradients and what the forward saves.

    ``inputs`` are the op's, in order; ``wanted`` those that have gradients; ``constants`` have the values of the defaults.
    """

    case: Case
    values: dict[str, np.ndarray[Any, Any]]
    inputs: tuple[str, ...]
    wanted: tuple[str, ...]
    upstream: str
    constants: tuple[float, ...]

    def tensors(self) -> dict[str, torch.Tensor]:
        """The same memory as tensors."""
        return {name: torch.from_numpy(value) for name, value in self.values.items()}

    def arguments(self, function: Callable[..., Any], tensors: bool = False) -> list[Array]:
        """The values of a function's parameters but for those that have a default."""
        found = self.tensors() if tensors else self.values
        parameters = inspect.signature(function).parameters.values()
        return [found[p.name] for p in parameters if p.default is inspect.Parameter.empty]

    def function(self, backend: str, what: str) -> Callable[..., Any]:
        """``OP_forward``, ``OP_backward`` or ``OP_forward_backward`` of a backend."""
        module = importlib.import_module(f"generated.{backend}")
        found: Callable[..., Any] = getattr(module, f"{self.case.op}_{what.replace(' and ', '_')}")
        return found


def problem(case: Case) -> Problem:
    """Draw the inputs, with means and scales that are not 0 and 1, and run the forward."""
    rng, op = np.random.default_rng(0), derive.load(case.op)
    values: dict[str, np.ndarray[Any, Any]] = {}
    for tensor in op.inputs:
        shape = _shape(tensor.axes, case)
        if tensor.labels:
            values[tensor.name] = rng.integers(0, _shape([tensor.labels], case)[0], shape)
        else:
            values[tensor.name] = _normal(rng, shape)
    upstream, output = f"d{op.outputs[0].name}", _shape(op.outputs[0].axes, case)
    values[upstream] = _normal(rng, output) if output else np.ones((), np.float32)
    constants = tuple(float(c.default or 0) for c in op.constants)
    inputs = tuple(t.name for t in op.inputs)
    wanted = tuple(t.name for t in op.differentiable)
    found = Problem(case, values, inputs, wanted, upstream, constants)
    if case.what != BOTH:
        forward, backward = found.function("native", "forward"), found.function("numpy", "backward")
        _, saved = forward(*found.arguments(forward))
        # After the upstream gradient a backward takes what its forward saved, in the same order.
        names = list(inspect.signature(backward).parameters)[1 : 1 + len(saved)]
        values |= {name: placed(np.asarray(value)) for name, value in zip(names, saved, strict=True)}
    return found


def reference(case: Case) -> Callable[..., torch.Tensor]:
    """torch's own function for the op, with the catalogue's constants: takes the inputs in order."""
    function: Callable[..., torch.Tensor] = importlib.import_module(f"derive.ops.{case.op}").reference
    constants = tuple(float(c.default or 0) for c in derive.load(case.op).constants)
    library: ModuleType = torch
    return lambda *inputs: function(library, *inputs, *constants)


def flat(results: Any) -> list[torch.Tensor]:
    """What a side returned, as tensors in the order of the results."""
    if isinstance(results, tuple | list):
        return [tensor for result in results for tensor in flat(result)]
    if isinstance(results, torch.Tensor):
        return [results.detach()]
    # JAX hands out arrays that are read-only, of which torch would warn.
    return [torch.from_numpy(np.array(results) if not isinstance(results, np.ndarray) else results)]


def disagreement(got: Sequence[torch.Tensor], want: Sequence[torch.Tensor]) -> str:
    """What is wrong with results in float32 beside those of autograd; empty where nothing is."""
    if len(got) != len(want):
        return f"{len(got)} results, not {len(want)}"
    # A gradient that is 0 but for rounding, such as that of a bias before a normalization, is held against the others.
    least = 1e-3 * max((float(w.abs().max()) for w in want), default=0.0)
    for k, (g, w) in enumerate(zip(got, want, strict=True)):
        if g.numel() != w.numel():
            return f"result {k} has shape {tuple(g.shape)}, not {tuple(w.shape)}"
        error = float((g.reshape(w.shape) - w).abs().max()) / max(float(w.abs().max()), least, 1e-30)
        if not error < 1e-3:
            return f"result {k} is off by {error:.1e} of its largest value"
    return ""


def placed(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """A copy in huge pages of its own where there are such, in either regime: not where malloc happens to find room.

    Large arrays lie at different distances from a page's begin, since stores to where loads of the next lines seem to be stall.
    """
    huge = 2 << 20
    if array.nbytes < huge or not hasattr(mmap, "MADV_HUGEPAGE"):
        return array.copy()
    memory = mmap.mmap(-1, array.nbytes + 2 * huge)
    memory.madvise(mmap.MADV_HUGEPAGE)
    whole = np.frombuffer(memory, np.uint8)
    start = -whole.ctypes.data % huge + next(_distances)
    out: np.ndarray[Any, Any] = whole[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    out[...] = array
    return out


_distances = cycle(range(0, 7 * 4672, 4672))  # a page and nine cache lines


def _shape(axes: Sequence[str], case: Case) -> tuple[int, ...]:
    found: list[int] = []
    for axis in axes:
        length = case.size[axis]
        found += length if isinstance(length, tuple) else (length,)
    return tuple(found)


def _normal(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """Neither of mean 0 nor of variance 1."""
    drawn = rng.standard_normal(shape, dtype=np.float32)
    drawn *= 0.8
    drawn += 0.1
    return placed(drawn)
