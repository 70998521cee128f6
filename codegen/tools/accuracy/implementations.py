"""The implementations that are measured: each is a forward and a backward under one name.

Anything that gives outputs and gradients can be one. To measure a variant of the emitted kernels, give its kernel to
:func:`emitted`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from codegen.backends.discovery import by_name
from codegen.program import Kernel
from codegen.verify.agreement import load_kernel, packed, run_kernel
from codegen.verify.reference import evaluate
from derive import syntax as st
from derive.ops import names, reference

__all__ = ["Implementation", "emitted", "implementations", "torch_itself"]

Tensors = dict[str, torch.Tensor]
Run = Callable[[Tensors, list[torch.Tensor], dict[str, float]], tuple[list[torch.Tensor], list[torch.Tensor]]]


@dataclass(frozen=True)
class Implementation:
    """``run`` takes inputs, upstream gradients and constants; it returns outputs and gradients, in the op's order."""

    label: str
    run: Run


def implementations(kernels: Mapping[str, Kernel], backends: Sequence[str]) -> list[Implementation]:
    """Each kernel in each backend, with torch's own op last. ``kernels`` are by the name of their variant, "" for the op.

    A backend is left out where something is missing to run it.
    """
    found = [emitted(k, b, variant) for b in backends for variant, k in kernels.items()]
    return [*(f for f in found if f is not None), torch_itself(next(iter(kernels.values())).op)]


def emitted(kernel: Kernel, backend: str, variant: str = "") -> Implementation | None:
    """The kernels as emitted for a backend; None if the backend cannot be run here."""
    if by_name(backend).missing():
        return None
    module = load_kernel(kernel, backend)
    return Implementation(f"{backend} {variant}".rstrip(), lambda *given: run_kernel(kernel, module, backend, *given))


def torch_itself(op: st.Op) -> Implementation:
    """torch's own function for an op of the catalogue, else the op's equations in torch; differentiated by autograd."""
    known = op.base in names()
    function = _reference(op) if known else _equations(op)

    def run(inputs: Tensors, upstream: list[torch.Tensor], constants: dict[str, float]) -> Any:
        leaves = {n: v.detach().clone().requires_grad_(v.is_floating_point()) for n, v in inputs.items()}
        # torch's own function returns packed axes as one; the upstream gradients have them apart.
        outputs = [o.reshape(u.shape) for o, u in zip(function(leaves, constants), upstream, strict=True)]
        wanted = [leaves[t.name] for t in op.differentiable]
        gradients = torch.autograd.grad(outputs, wanted, upstream, allow_unused=True, materialize_grads=True)
        return [o.detach() for o in outputs], list(gradients)

    return Implementation("torch's own" if known else "autograd", run)


def _reference(op: st.Op) -> Callable[[Tensors, dict[str, float]], list[torch.Tensor]]:
    function = reference(op)
    _, *wanted = inspect.signature(function).parameters  # the first is the library

    def run(inputs: Tensors, constants: dict[str, float]) -> list[torch.Tensor]:
        given = {**{n: packed(op, n, v) for n, v in inputs.items()}, **constants}
        found = function(torch, *(given[p] for p in wanted))
        return [found] if isinstance(found, torch.Tensor) else list(found)

    return run


def _equations(op: st.Op) -> Callable[[Tensors, dict[str, float]], list[torch.Tensor]]:
    def run(inputs: Tensors, constants: dict[str, float]) -> list[torch.Tensor]:
        values = evaluate(op, inputs, constants)
        return [values[t.name] for t in op.outputs]

    return run
