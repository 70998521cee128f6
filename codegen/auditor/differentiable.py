"""A differentiable torch callable as a submission: its gradients are those that autograd finds."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from codegen.auditor.submission import Submission, to_numpy
from derive import syntax as st

__all__ = ["differentiable_submission"]


def differentiable_submission(
    function: Callable[..., Any], op: st.Op, parameters: Mapping[str, str] | None = None
) -> Submission:
    """A torch function or module as a submission.

    A function takes the op's inputs by name where its parameters are so called, and otherwise in the op's order. A module
    takes those inputs that are none of its parameters, which stand for the remaining ones in order, or as ``parameters``
    says: ``{"weight": "gamma"}``. The lengths of axes that a parameter has are not free then. ValueError where the op's inputs
    do not fit.
    """
    try:
        import torch
    except ImportError:
        raise ValueError("to audit a differentiable callable needs torch; a backward takes the upstream gradient") from None
    if isinstance(function, torch.nn.Module):
        return _of_module(function, op, parameters)
    name = getattr(function, "__name__", type(function).__name__)
    taken = _taken(function, op)
    if not taken:
        _accepts(function, name, op)
    return _submission(name, op, lambda leaves: _apply(function, taken, leaves), taken)


def _taken(function: Callable[..., Any], op: st.Op) -> tuple[str, ...]:
    """The op's names that the function takes, as keywords; nothing where they go in the op's order."""
    inputs = [t.name for t in op.inputs]
    try:
        found = list(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return ()
    names = [n for n in found if n in inputs or n in {c.name for c in op.constants}]
    return tuple(names) if set(inputs) <= set(names) else ()


def _accepts(function: Callable[..., Any], name: str, op: st.Op) -> None:
    """ValueError where the op's inputs, in order, are no arguments of the function: it may be a backward of other names."""
    inputs = [t.name for t in op.inputs]
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return  # of what is written in C it is not known
    try:
        signature.bind(*inputs)
    except TypeError:
        upstream = " or ".join(f"d{t.name}" for t in op.outputs)
        raise ValueError(
            f"{name}{signature} is neither a backward of {op.name}, which takes {upstream},"
            f" nor {op.name} itself, which takes {', '.join(inputs)}"
        ) from None


def _apply(function: Callable[..., Any], taken: tuple[str, ...], leaves: Mapping[str, Any]) -> Any:
    return function(**{n: leaves[n] for n in taken}) if taken else function(*leaves.values())


def _of_module(module: Any, op: st.Op, parameters: Mapping[str, str] | None) -> Submission:
    import torch

    own = dict(module.named_parameters())
    free = [t for t in op.differentiable][-len(own) :] if own else []
    meant = dict(parameters) if parameters is not None else {n: t.name for n, t in zip(own, free, strict=False)}
    if set(meant) != set(own):
        raise ValueError(f"the parameters are {', '.join(own) or 'none'}; say by parameters= which input each stands for")
    fixed: dict[str, int] = {}
    for parameter, name in meant.items():
        axes, shape = op.tensor(name).axes, tuple(own[parameter].shape)
        if len(axes) != len(shape):
            raise ValueError(f"the parameter {parameter} has shape {shape}, and {name} the axes [{', '.join(axes)}]")
        fixed |= dict(zip(axes, shape, strict=True))
    inputs = [t.name for t in op.inputs if t.name not in meant.values()]

    def forward(leaves: Mapping[str, Any]) -> Any:
        arrays = tuple(leaves[n] for n in inputs)
        dtype = next(a.dtype for a in leaves.values() if a.is_floating_point())
        # Copies: running statistics are written to, and must be of the dtype that is audited.
        state = {n: b.to(dtype if b.is_floating_point() else b.dtype, copy=True) for n, b in module.named_buffers()}
        state |= {parameter: leaves[name] for parameter, name in meant.items()}
        return torch.func.functional_call(module, state, arrays)

    return _submission(type(module).__name__, op, forward, (), tuple(fixed.items()))


def _submission(
    name: str, op: st.Op, forward: Callable[[Mapping[str, Any]], Any], taken: tuple[str, ...], fixed: Any = ()
) -> Submission:
    import torch

    inputs = tuple(t.name for t in op.inputs)
    constants = tuple(c.name for c in op.constants if c.name in taken)

    def call(values: Mapping[str, Any]) -> dict[str, np.ndarray]:
        leaves = {n: torch.from_numpy(np.array(values[n])) for n in inputs}
        wanted = {t.name: leaves[t.name].requires_grad_() for t in op.differentiable}
        found = forward(leaves | {n: values[n] for n in constants})
        outputs = list(found) if isinstance(found, tuple | list) else [found]
        upstream = [torch.from_numpy(np.array(values[f"d{t.name}"])) for t in op.outputs]
        if len(outputs) != len(upstream):
            raise ValueError(f"{name} returned {len(outputs)} outputs, and {op.name} has {len(upstream)}")
        for t, output, gradient in zip(op.outputs, outputs, upstream, strict=True):
            if output.shape != gradient.shape:
                raise ValueError(f"the output {t.name} has shape {tuple(output.shape)} instead of {tuple(gradient.shape)}")
        grads = torch.autograd.grad(outputs, list(wanted.values()), upstream, allow_unused=True)
        zeros = [torch.zeros_like(w) if g is None else g for w, g in zip(wanted.values(), grads, strict=True)]
        return {f"d{n}": to_numpy(g) for n, g in zip(wanted, zeros, strict=True)}

    gradients = tuple(f"d{t.name}" for t in op.differentiable)
    upstream = tuple(f"d{t.name}" for t in op.outputs)
    return Submission(name, (*inputs, *constants, *upstream), gradients, call, tuple(fixed))
