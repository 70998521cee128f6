"""What the kernel tests share: the catalogue's ops, random inputs of any shape, and torch's own functions as judges."""

from __future__ import annotations

import importlib
import inspect
import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch

import derive
from codegen.backends.discovery import by_name
from codegen.evaluate.trees import Magnitudes
from codegen.plan import plan
from codegen.program import Kernel, Program
from codegen.verify.agreement import packed
from codegen.verify.reference import Torch
from derive import syntax
from derive.labels import label_values, whole_constants
from derive.language.axes import equal_axes
from derive.ops import reference as reference_of
from derive.tangents import tangents
from tests.backends import given as passed
from tests.long import OPS as OPS


@cache
def kernel(name: str) -> Kernel:
    derivation = derive.derive(derive.load(name))
    return plan(derivation, tangents(derivation))


def module(name: str, backend: str) -> Any:
    return importlib.import_module(f"generated.{backend}.{name}")


def constants(name: str) -> dict[str, float]:
    return {
        c.name: float(c.default) if "." in c.default or "e" in c.default else int(c.default) for c in kernel(name).op.constants
    }


def shapes(
    name: str, rng: np.random.Generator, low: int = 1, high: int = 6, star: int | None = None
) -> dict[str, tuple[int, ...]]:
    """A random shape for every input; ``*s`` stands for 0 to 3 axes, the same for all."""
    op = kernel(name).op
    axes = dict.fromkeys(a for t in op.inputs for a in (*t.axes, *([t.indexed] if t.indexed else [])))
    rank = int(rng.integers(0, 4)) if star is None else star
    size = {a: tuple(rng.integers(low, high + 1, rank)) if a in op.stars else (int(rng.integers(low, high + 1)),) for a in axes}
    size = {a: size.get(root, size[a]) for a, root in equal_axes(op).items() if a in size}
    size |= {a: (n,) for a, n in op.packing.fixed(constants(name)).items()}
    if name in ("batchnorm", "mlp", "makemore"):  # a variance of one row is an error in torch, and 0/0 with Bessel's divisor
        size["n"] = (int(rng.integers(max(low, 3), max(high, 3) + 1)),)
    if any(n < 1 for n in _declared(op, size, constants(name))):  # torch has no empty results of windows
        return shapes(name, rng, low, high + 1, star)
    return {t.name: tuple(int(n) for a in t.axes for n in size[a]) for t in op.inputs} | {
        f"labels of {t.name}": size[t.indexed] for t in op.inputs if t.indexed
    }


def _declared(op: syntax.Op, size: dict[str, tuple[int, ...]], given: dict[str, float]) -> list[int]:
    """The lengths of the axes whose lengths the op declares."""
    known = {a: n[0] for a, n in size.items() if len(n) == 1}
    whole = {c: int(given[c]) for c in op.declared.constants()}
    found = op.declared.completed(known, whole, equal_axes(op)) if op.declared else {}
    return [found[axis] for axis, _ in op.declared.lengths]


def inputs(
    name: str, rng: np.random.Generator, dtype: torch.dtype = torch.float64, scale: float = 1.0, **options: Any
) -> dict[str, torch.Tensor]:
    """Random inputs in the shapes of callers: means and scales random too, for values near 1 hide bugs."""
    shape = shapes(name, rng, **options)
    op, out = kernel(name).op, {}
    positive = {a.left.name for a in op.assumptions if isinstance(a.left, syntax.Read) and a.rel == ">"}
    for t in op.inputs:
        if t.labels:
            length = shape[f"labels of {t.name}"][0] if t.indexed else 0
            whole = {n: int(constants(name)[n]) for n in whole_constants(op)}
            values = np.asarray(label_values(op, t, {t.indexed: length} if t.indexed else {}, whole))
            drawn = np.asarray(values[rng.integers(0, len(values), shape[t.name])])
            drawn.reshape(-1)[:1] = values[0]  # not all of them are ignored
            out[t.name] = torch.from_numpy(drawn.astype(bool) if t.labels == syntax.TRUTH else drawn)
        else:
            values = (rng.normal(size=shape[t.name]) + rng.normal()) * scale * np.exp(rng.normal())
            values = np.abs(values) + 0.1 * scale if t.name in positive else values
            out[t.name] = packed(op, t.name, torch.from_numpy(np.asarray(values)).to(dtype))
    return out


def reference(name: str) -> Callable[..., torch.Tensor]:
    """torch's own function for the op, taking its inputs and constants by name."""
    function = reference_of(kernel(name).op)
    wanted = [p for p in inspect.signature(function).parameters if p != "torch"]
    return lambda values, given: function(torch, *(({**values, **given})[p] for p in wanted))


def expected(name: str, values: dict[str, torch.Tensor], upstream: torch.Tensor | None, given: dict[str, float]) -> Any:
    """Output, upstream gradient and gradients by autograd through torch's own function, for an op of one output."""
    outputs, upstreams, gradients = every_expected(name, values, None if upstream is None else (upstream,), given)
    return *outputs, *upstreams, gradients


def every_expected(
    name: str, values: dict[str, torch.Tensor], upstreams: tuple[torch.Tensor, ...] | None, given: dict[str, float]
) -> tuple[tuple[torch.Tensor, ...], tuple[torch.Tensor, ...], list[torch.Tensor]]:
    """Outputs, their upstream gradients and gradients by autograd through torch's own function."""
    leaves = {n: v.detach().clone().requires_grad_(v.is_floating_point()) for n, v in values.items()}
    outputs = tupled(reference(name)(leaves, given))
    if upstreams is None:
        rng = np.random.default_rng(7)
        upstreams = tuple(torch.from_numpy(np.asarray(rng.normal(size=tuple(o.shape)))).to(o.dtype) for o in outputs)
    wanted = [leaves[t.name] for t in kernel(name).op.differentiable]
    gradients = torch.autograd.grad(outputs, wanted, upstreams, allow_unused=True, materialize_grads=True)
    return tuple(o.detach() for o in outputs), upstreams, list(gradients)


def tupled(found: Any) -> tuple[Any, ...]:
    """The outputs of an op: one is returned by itself, several as a tuple."""
    return found if isinstance(found, tuple) else (found,)


def run(name: str, backend: str, values: dict[str, torch.Tensor], upstream: torch.Tensor, given: dict[str, float]) -> Any:
    """Output and gradients of the generated forward and backward, for an op of one output."""
    outputs, gradients = every_run(name, backend, values, (upstream,), given)
    return *outputs, gradients


def every_run(
    name: str, backend: str, values: dict[str, torch.Tensor], upstreams: tuple[torch.Tensor, ...], given: dict[str, float]
) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Outputs and gradients of the generated forward and backward."""
    with by_name(backend).running():
        outputs, env = _forward(name, backend, values, upstreams, given)
        gradients = tupled(_backward(name, backend, env, given)())
        back = by_name(backend).back
        results = [r if isinstance(r, torch.Tensor) else torch.tensor(back(r)) for r in (*outputs, *gradients)]
    return results[: len(outputs)], results[len(outputs) :]


def prepared_backward(
    name: str, backend: str, values: dict[str, torch.Tensor], upstream: torch.Tensor, given: dict[str, float]
) -> Any:
    """A function of no arguments that runs the generated backward alone."""
    _, env = _forward(name, backend, values, (upstream,), given)
    return _backward(name, backend, env, given)


def _forward(
    name: str, backend: str, values: dict[str, torch.Tensor], upstreams: tuple[torch.Tensor, ...], given: dict[str, float]
) -> Any:
    k = kernel(name)
    env: dict[str, Any] = {n: passed(backend, v) for n, v in values.items()}
    forward = by_name(backend).called(getattr(module(name, backend), k.forward.name))
    found, saved = forward(*_arguments(k.forward, env), **_given(k.forward, given))
    outputs = tupled(found)
    env |= dict(zip([t.name for t in k.saved], saved, strict=True))
    for output, upstream in zip(k.op.outputs, upstreams, strict=True):
        env[syntax.adjoint_name(output.name)] = passed(backend, upstream)
    return outputs, env


def _backward(name: str, backend: str, env: dict[str, Any], given: dict[str, float], **options: Any) -> Any:
    program = kernel(name).backward
    arguments, constants = _arguments(program, env), _given(program, given)
    function = by_name(backend).called(getattr(module(name, backend), program.name))
    return lambda: function(*arguments, **constants, **options)


def _arguments(program: Program, env: dict[str, Any]) -> list[Any]:
    return [env[a.name] for a in program.arguments]


def _given(program: Program, given: dict[str, float]) -> dict[str, float]:
    return {c.name: given[c.name] for c in program.constants}


def term_bounds(name: str, values: dict[str, torch.Tensor], upstream: torch.Tensor, given: dict[str, float]) -> list[float]:
    """For each gradient, the largest sum of absolute values of its closed form's terms: what rounding is relative to.

    The form is the op's own, whatever the variant: what autograd cancels is not small.
    """
    k = kernel(kernel(name).op.base)
    name = k.op.name
    _, env = _forward(name, "torch", values, (upstream,), given)
    found = Magnitudes(k.op, as_equations(k.op, values), given, Torch(upstream.dtype))
    for argument in k.backward.arguments:
        shape = [found.length(a) for a in argument.axes]
        found.values[argument.name] = env[argument.name].reshape(shape)
    for s in k.backward.statements:
        value, axes = found.magnitude(s.tree)
        found.values[s.name] = found.spread(value, axes, s.index)
    return [float(found.values[g].max()) if found.values[g].numel() else 0.0 for g in k.backward.results]


def as_equations(op: syntax.Op, values: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The inputs with ``*s`` as a single axis, and with the axes of the equations where callers pack them."""
    alone = [t for t in op.inputs if not op.packing.packs(t.name)]
    lengths = {a: n for t in alone if not op.stars for a, n in zip(t.axes, values[t.name].shape, strict=True)}
    out = {t.name: values[t.name].reshape([lengths[a] for a in t.axes]) for t in op.inputs if t not in alone}
    for t in alone:
        shape, extra, k = [], values[t.name].ndim - len(t.axes), 0
        for a in t.axes:
            width = extra + 1 if a in op.stars else 1
            shape.append(math.prod(values[t.name].shape[k : k + width]))
            k += width
        out[t.name] = values[t.name].reshape(shape)
    return out
