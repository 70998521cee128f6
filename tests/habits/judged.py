"""What is wrong with a backward, by torch's autograd and by plain comparison; nothing here knows the auditor."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch

import derive
from codegen.verify.agreement import packed
from codegen.verify.reference import evaluate
from derive.ops import find, reference
from derive.syntax import Op
from tests.habits import Habit

__all__ = ["failings"]

LENGTHS = {"d": 4, "c": 4, "s": 5, "h": 4, "j": 4, "f": 2, "v": 6, "b": 2, "u": 4, "m": 5}
STARS: dict[int, tuple[int, ...]] = {0: (), 1: (5,), 2: (2, 3)}
#: Where the statistics of an op keep an axis: the shape with which they are multiplied back.
KEPT = {"layernorm": (..., None), "rmsnorm": (..., None), "batchnorm": None}
STATISTICS = {"mu", "var", "rstd"}


def failings(habit: Habit, kept: bool) -> set[str]:
    """What is wrong, in one word each: "value", "raises", "dtype", "writes", "memory", at the numbers of axes asked for."""
    op = find(habit.op) or derive.parse(habit.op)
    found: set[str] = set()
    for rank in _ranks(habit, op):
        found |= _at(habit, op, rank, kept)
    return found


def _ranks(habit: Habit, op: Op) -> tuple[int, ...]:
    if not op.stars:
        return (1,)
    if habit.axes is not None:
        return habit.axes if isinstance(habit.axes, tuple) else (habit.axes,)
    return (0, 1, 2) if op.name in ("batchnorm", "attention", "matmul") else (1, 2)


def _at(habit: Habit, op: Op, rank: int, kept: bool) -> set[str]:
    values, gradients = _values(habit, op, rank, kept, torch.float64)
    found: set[str] = set()
    try:
        got, written = _called(habit, op, {n: v.clone() for n, v in values.items()})
    except (Exception, SystemExit):
        return {"raises"}
    found |= {"writes"} if written else set()
    found |= {"value"} if not _same(got, gradients) else set()
    found |= {"dtype"} if any(_dtype(g) not in ("float64", "float") for g in got.values()) else set()
    narrow, _ = _values(habit, op, rank, kept, torch.float32)
    single, _ = _called(habit, op, narrow)
    found |= {"dtype"} if any(_dtype(g) not in ("float32", "float") for g in single.values()) else set()
    if found & {"value", "writes"}:
        return found
    for others in _in_other_memory(values):
        try:
            again, _ = _called(habit, op, others)
        except Exception:
            found.add("memory")
        else:
            found |= {"memory"} if not _same(again, gradients) else set()
    return found


def _values(
    habit: Habit, op: Op, rank: int, kept: bool, dtype: torch.dtype
) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Every name's value as the caller has it, and the gradients of the inputs by autograd."""
    generator = torch.Generator().manual_seed(rank)

    def length(axis: str) -> int:
        return int(np.prod(STARS[rank], dtype=int)) if axis in op.stars else LENGTHS.get(axis, 3)

    inputs = {}
    for t in op.inputs:
        shape = [length(a) for a in t.axes]
        drawn = torch.randn(shape, generator=generator, dtype=torch.float64)
        inputs[t.name] = torch.randint(length(t.labels), shape, generator=generator) if t.labels else drawn
    constants = {c.name: float(habit.names.get(c.name, c.default or 0.3)) for c in op.constants}
    leaves = {n: v.requires_grad_(v.is_floating_point()) for n, v in inputs.items()}
    values = evaluate(op, leaves, constants)
    upstream = {}
    for t in op.outputs:
        drawn = torch.randn(values[t.name].shape, generator=generator, dtype=torch.float64)
        upstream[f"d{t.name}"] = (
            torch.full_like(drawn, float(habit.names.get(f"d{t.name}", "nan"))) if f"d{t.name}" in habit.names else drawn
        )
    outputs = [values[t.name] for t in op.outputs]
    if find(op.name):
        outputs = [_by_torch(op, leaves, constants, rank)]
    axes = {t.name: t.axes for t in op.inputs} | {e.name: e.index for e in op.equations}
    wanted = [n for n, v in leaves.items() if v.is_floating_point()]
    shaped = [u.reshape(o.shape) for u, o in zip(upstream.values(), outputs, strict=True)]
    grads = dict(zip(wanted, torch.autograd.grad(outputs, [leaves[n] for n in wanted], shaped), strict=True))
    every = {n: v.detach() for n, v in values.items() if isinstance(v, torch.Tensor)} | upstream

    def seen(name: str, value: torch.Tensor) -> torch.Tensor:
        of = name[1:] if name[1:] in axes and name.startswith("d") else name
        own = axes.get(of, ())
        for text in habit.layout:
            if text.partition("[")[0] == of:
                return _declared(value, own, text.partition("[")[2].rstrip("]"), op, rank)
        value = value.reshape(
            [n for a, m in zip(own, value.shape, strict=True) for n in (STARS[rank] if a in op.stars else (m,))]
        )
        value = packed(op, of, value)
        return _with_kept_axes(op.name, value, rank) if kept and of in STATISTICS else value

    result = {
        n: seen(n, v).to(dtype) if v.is_floating_point() else seen(n, v) for n, v in every.items() if n in axes or n in upstream
    }
    return result | {n: torch.tensor(v) for n, v in constants.items()}, {f"d{n}": seen(f"d{n}", g) for n, g in grads.items()}


def _by_torch(op: Op, leaves: Mapping[str, torch.Tensor], constants: Mapping[str, float], rank: int) -> torch.Tensor:
    """torch's own function on the inputs, each ``*s`` as many axes."""
    axes = {t.name: t.axes for t in op.inputs}
    seen = [
        packed(op, k, v)
        if op.packing.packs(k)
        else v.reshape([n for a, m in zip(axes[k], v.shape, strict=True) for n in (STARS[rank] if a in op.stars else (m,))])
        for k, v in leaves.items()
    ]
    if op.name == "batchnorm":
        x, gamma, beta = seen
        x = x[..., None] if rank == 0 else x
        dims = [0, *range(2, x.dim())]
        var, mean = torch.var_mean(x, dims, correction=int(constants["ddof"]), keepdim=True)
        shape = [1, -1, *[1] * (x.dim() - 2)]
        return gamma.view(shape) * (x - mean) / torch.sqrt(var + constants["eps"]) + beta.view(shape)
    return reference(op)(torch, *seen, **{n: v for n, v in constants.items() if op.name != "batchnorm"})


def _declared(value: torch.Tensor, own: tuple[str, ...], text: str, op: Op, rank: int) -> torch.Tensor:
    """A value in a declared layout, such as ``n, *s, d`` or ``1, d``."""
    parts = [p.strip() for p in text.split(",")]
    order = [a for p in parts for a in p.lstrip("*").split("*") if a != "1"]
    value = value.permute([own.index(a) for a in order])
    shape: list[int] = []
    for p in parts:
        names = [a for a in p.lstrip("*").split("*") if a != "1"]
        lengths = [n for a in names for n in (STARS[rank] if a in op.stars else (value.shape[order.index(a)],))]
        shape += lengths if len(names) == 1 else [int(np.prod(lengths, dtype=int))]
    return value.reshape(shape)


def _with_kept_axes(op: str, value: torch.Tensor, rank: int) -> torch.Tensor:
    return value.reshape(1, -1, *[1] * rank) if op == "batchnorm" else value[..., None]


# ---- calling ---------------------------------------------------------------------------------------------------------------


def _called(habit: Habit, op: Op, values: Mapping[str, torch.Tensor]) -> tuple[dict[str, Any], bool]:
    """The gradients by name, and whether an argument was written to."""
    function = habit.call
    if inspect.isclass(function):
        return _differentiated(function.apply, habit, op, values, list(inspect.signature(function.forward).parameters)[1:])
    taken = list(inspect.signature(function).parameters)
    if not any(habit.names.get(p, p) in values and habit.names.get(p, p).startswith("d") for p in taken) and not habit.names:
        return _differentiated(function, habit, op, values, taken)
    arrays = "torch" in function.__globals__
    constants = {c.name for c in op.constants}

    def given(name: str) -> Any:
        value = values[name]
        return value.item() if name in constants else value if arrays else _numpy(value)

    def passed(parameter: str) -> Any:
        if parameter not in habit.cache:
            return given(habit.names.get(parameter, parameter))
        inside = {n: given(n) for n in habit.cache[parameter]}
        return inside if f'{parameter}["' in inspect.getsource(function) else tuple(inside.values())

    parts = {p: passed(p) for p in taken}
    flat = [v for value in parts.values() for v in _each(value) if hasattr(v, "shape")]
    before = [(v.shape, np.array(_numpy(v))) for v in flat]
    with np.errstate(all="ignore"):
        found = function(**parts)
    written = any(v.shape != s or not np.array_equal(_numpy(v), b) for v, (s, b) in zip(flat, before, strict=True))
    if not isinstance(found, dict):
        found = found if isinstance(found, tuple | list) else (found,)
        found = dict(zip(_returned(function, op), found, strict=True))
    return found, written


def _each(value: Any) -> Iterator[Any]:
    if isinstance(value, dict | tuple):
        yield from value.values() if isinstance(value, dict) else value
    else:
        yield value


def _returned(function: Any, op: Op) -> list[str]:
    """The gradients that a function returns: those in its last line, where these are names of gradients."""
    names = [f"d{t.name}" for t in op.differentiable]
    last = inspect.getsource(function).strip().splitlines()[-1].strip().removeprefix("return ")
    found = [part.strip() for part in last.split(",")]
    return found if all(n in names for n in found) else names


def _differentiated(
    function: Any, habit: Habit, op: Op, values: Mapping[str, torch.Tensor], taken: list[str]
) -> tuple[dict[str, Any], bool]:
    inputs = [t.name for t in op.inputs]
    rest = iter([n for n in inputs if n not in [habit.names.get(p, p) for p in taken]])
    constants = {c.name for c in op.constants}
    meant = [habit.names.get(p, p) for p in taken]
    order = [n if n in inputs or n in constants else next(rest) for n in meant]
    leaves = {n: values[n].detach().requires_grad_(values[n].is_floating_point()) for n in inputs}
    output = function(*(values[n].item() if n in constants else leaves[n] for n in order))
    upstream = values[f"d{op.outputs[0].name}"]
    before = upstream.clone()
    wanted = [t.name for t in op.differentiable]
    found = torch.autograd.grad(output, [leaves[n] for n in wanted], upstream)
    return {f"d{n}": g for n, g in zip(wanted, found, strict=True)}, not torch.equal(before, upstream)


def _numpy(value: Any) -> np.ndarray:
    return value.detach().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)


def _same(got: Mapping[str, Any], want: Mapping[str, torch.Tensor]) -> bool:
    for name, value in want.items():
        if name in got:
            found = _numpy(got[name])
            scale = max(1.0, float(value.abs().max()))
            if found.shape != tuple(value.shape) or not np.allclose(found, value.numpy(), rtol=0, atol=1e-6 * scale):
                return False
    return True


def _dtype(value: Any) -> str:
    return str(getattr(value, "dtype", "float")).removeprefix("torch.")


def _in_other_memory(values: Mapping[str, torch.Tensor]) -> Iterator[dict[str, torch.Tensor]]:
    """The values as tensors whose axes are in reverse order in memory, with gaps."""
    out = {}
    for name, value in values.items():
        room = torch.zeros([2 * n for n in reversed(value.shape)], dtype=value.dtype)
        strided = room[(*[slice(None, None, 2)] * value.dim(), ...)].permute(list(reversed(range(value.dim()))))
        strided.copy_(value)
        out[name] = strided
    yield out
