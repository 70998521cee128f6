"""The sides of a case: functions of no arguments that compute the same, ours and others', each with its floor."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from . import direct, jaxed
from .cases import BACKWARD, BOTH, STEP, Case
from .floor import Floor, Floors
from .problem import Problem, placed, problem, reference

AUTOGRAD, DIRECT, COMPILED, JAX = "torch autograd", "torch's op direct", "torch.compile", "JAX jit"
NUMPY, TORCH, NATIVE, IN_PLACE = "ours numpy", "ours torch", "ours native", "ours native, in place"
#: In the order of the tables.
SIDES = (AUTOGRAD, DIRECT, COMPILED, JAX, NUMPY, TORCH, NATIVE, IN_PLACE)

#: The sides that the bars compare; of a large case in a hurry only these are timed.
COMPARED = (AUTOGRAD, DIRECT, NATIVE, IN_PLACE)

RATE = jaxed.RATE  # of the training step, small: the same batch comes again and again


@dataclass(frozen=True)
class Side:
    """``build`` makes the function, and may fail; it returns the op's results in order, or changes its arguments in place.

    ``floor`` is None where there is no compiler, or nothing worth bounding by the bytes.
    """

    name: str
    build: Callable[[], Callable[[], Any]]
    floor: Floor | None


def sides(case: Case, kept: bool, floors: Floors | None, compiled: bool, hurry: bool) -> list[Side]:
    """The sides of a case, first AUTOGRAD, whose results are those to match.

    Without ``compiled`` torch.compile is left out, and with ``hurry`` of a large case all that no bar compares.
    """
    found = problem(case)
    listed = list(_step_sides(found, floors is not None) if case.what == STEP else _sides(found, kept, floors))
    if jaxed.installed() and jaxed.has(case.op):
        listed.append(Side(JAX, lambda: jaxed.side(found), listed[0].floor))
    skipped = {COMPILED} if not compiled else set()
    if hurry and case.large:
        skipped |= set(SIDES) - set(COMPARED)
    return sorted((s for s in listed if s.name not in skipped), key=lambda s: SIDES.index(s.name))


# ---- gradients -----------------------------------------------------------------------------------------------------------


def _sides(p: Problem, kept: bool, floors: Floors | None) -> Iterator[Side]:
    case = p.case
    function = p.function("native", case.what)
    arguments = p.arguments(function)
    # In NumPy where there is no compiler; either way arrays like the results.
    results = function(*arguments)
    outputs = [placed(np.asarray(r)) for r in (results if isinstance(results, tuple) else (results,))]
    targets = tuple(outputs[1:] if case.what == BOTH else outputs)
    floor = floors.of(arguments, outputs) if floors else None

    yield Side(AUTOGRAD, lambda: _autograd(p, reference(case)), floor)
    if (case.op, case.what) in direct.OPS:
        yield Side(DIRECT, lambda: direct.OPS[case.op, case.what](p.tensors()), floor)
    yield Side(COMPILED, lambda: _compiled(p), floor)
    yield Side(NUMPY, lambda: _ours(p, "numpy"), floor)
    yield Side(TORCH, lambda: _ours(p, "torch"), floor)
    if floors is None:
        return
    options = {"out": targets} if kept else {}
    yield Side(NATIVE, lambda: lambda: function(*arguments, **options), floor)
    if case.op == "softmax_cross_entropy" and case.what == BOTH:
        logits = placed(p.values["z"])
        rest = [logits if a is p.values["z"] else a for a in arguments]
        yield Side(IN_PLACE, lambda: lambda: function(*rest, out=(logits,)), floors.in_place(logits))


def _autograd(p: Problem, forward: Callable[..., torch.Tensor]) -> Callable[[], Any]:
    """torch's autograd: the gradient of an output at hand, or of one computed in the same call."""
    tensors = p.tensors()
    leaves = {n: tensors[n].requires_grad_() if n in p.wanted else tensors[n] for n in p.inputs}
    inputs, wanted, upstream = list(leaves.values()), [leaves[n] for n in p.wanted], tensors[p.upstream]
    if p.case.what == BACKWARD:
        output = forward(*inputs)
        return lambda: torch.autograd.grad(output, wanted, upstream, retain_graph=True)

    def both() -> tuple[torch.Tensor, ...]:
        output = forward(*inputs)
        return output, *torch.autograd.grad(output, wanted, upstream)

    return both


def _compiled(p: Problem) -> Callable[[], Any]:
    """The same through torch.compile, forward and backward."""
    return _autograd(p, _compile(reference(p.case)))


def _compile(function: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    import torch._functorch.config as functorch

    torch._dynamo.reset()  # what was compiled for the last case would count against the limit for this one
    functorch.donated_buffer = False  # which would forbid to keep the graph for the next call
    return torch.compile(function, dynamic=False, fullgraph=True)


def _ours(p: Problem, backend: str) -> Callable[[], Any]:
    backward: Callable[..., Any] = p.function(backend, BACKWARD)
    if p.case.what == BACKWARD:
        arguments = p.arguments(backward, tensors=backend == "torch")
        return lambda: backward(*arguments)
    forward = p.function(backend, "forward")
    given = p.arguments(forward, tensors=backend == "torch")
    values = p.tensors() if backend == "torch" else p.values
    upstream = values[p.upstream]

    def both() -> Any:
        output, saved = forward(*given)
        return output, backward(upstream, *saved, *rest)

    # What a backward takes after the upstream gradient and the saved tensors.
    _, saved = forward(*given)
    required = [q.name for q in inspect.signature(backward).parameters.values() if q.default is inspect.Parameter.empty]
    rest = [values[n] for n in required[1 + len(saved) :]]
    del saved
    return both


# ---- the training step ---------------------------------------------------------------------------------------------------


def _step_sides(p: Problem, native: bool) -> Iterator[Side]:
    yield Side(AUTOGRAD, lambda: _eager_step(p, lecture), None)
    yield Side(COMPILED, lambda: _eager_step(p, _compile(reference(p.case))), None)
    yield Side(NUMPY, lambda: _generated_step(p, "numpy"), None)
    yield Side(TORCH, lambda: _generated_step(p, "torch"), None)
    if native:
        yield Side(NATIVE, lambda: _native_step(p), None)


def lecture(x: Any, t: Any, C: Any, W1: Any, b1: Any, gamma: Any, beta: Any, W2: Any, b2: Any) -> torch.Tensor:
    """The exercise's network as the lectures write it in torch."""
    functional = torch.nn.functional
    hpre = functional.embedding(x, C).view(x.shape[0], -1) @ W1.view(-1, W1.shape[-1]) + b1
    mean, var = hpre.mean(0, keepdim=True), hpre.var(0, keepdim=True, unbiased=True)
    h = torch.tanh(gamma * (hpre - mean) / torch.sqrt(var + 1e-5) + beta)
    return functional.cross_entropy(h @ W2 + b2, t)


def _eager_step(p: Problem, forward: Callable[..., torch.Tensor]) -> Callable[[], Any]:
    tensors = p.tensors()
    x, t = tensors["x"], tensors["t"]
    parameters = [tensors[n].clone().requires_grad_() for n in p.wanted]

    def step() -> Any:
        loss = forward(x, t, *parameters)
        for parameter in parameters:
            parameter.grad = None
        loss.backward()
        with torch.no_grad():
            for parameter in parameters:
                parameter -= RATE * parameter.grad  # type: ignore[operator]
        return loss, *parameters

    return step


def _generated_step(p: Problem, backend: str) -> Callable[[], Any]:
    """The step of ``generated/makemore.py``."""
    from generated import makemore

    start = makemore.Parameters(*(p.values[n].copy() for n in p.wanted))
    start.W1 = start.W1.reshape(-1, start.W1.shape[-1])
    flat, start = makemore._side_by_side(start)
    parameters, descend = makemore._descent(backend, start, flat)
    x, t, held = p.values["x"], p.values["t"], list(vars(parameters).values())
    return lambda: (np.float32(descend(x, t, RATE)), *held)


def _native_step(p: Problem) -> Callable[[], Any]:
    from generated.native import mlp_step

    x, t, held = p.values["x"], p.values["t"], tuple(p.values[n].copy() for n in p.wanted)
    return lambda: mlp_step(x, t, *held, RATE, out=held)
