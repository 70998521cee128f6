"""What an emitted ``autograd.Function`` returns: outputs that are inputs, saved tensors, views, constants, or one another.

Gradients and second derivatives are those of the equations (:mod:`tests.jets`), and every output can be written into.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

import derive
from codegen.plan import plan
from derive import syntax as st
from tests import kernels
from tests.systems.check import load
from tests.test_second_derivatives import holds

Op = Callable[..., Any]
TIES = [[1.0, 2.0, 2.0, 0.0], [3.0, 3.0, 3.0, 1.0], [0.0, -1.0, 2.0, 4.0]]
LINE = [0.0, -1.0, 2.0]
SQUARE = [[0.0, 1.0, 2.0], [-1.0, 3.0, 3.0], [2.0, 2.0, 1.0]]
CUBE = [[[0.0, 1.0], [1.0, 1.0]], [[2.0, 2.0], [2.0, 0.0]]]

#: Signature, equations, inputs.
SYSTEMS: dict[str, tuple[str, tuple[str, ...], dict[str, Any]]] = {
    "an output that is saved": ("y[l] = f(x[l, r])", ("m[l] = max[r](x[l, r])", "y[l] = m[l]"), {"x": TIES}),
    "a saved tensor that is an output": (
        "y[l], z = f(x[l, r])",
        ("y[l] = max[r](x[l, r])", "m[l] = y[l]", "z = sum[l](m[l]**2)"),
        {"x": TIES},
    ),
    "a maximum beside other terms": (
        "z = f(x[l, r, s], u[l])",
        ("z = max[l, r, s](x[l, r, s])*sum[l](u[l]) + sum[l](max[r, s](x[l, r, s])*u[l])",),
        {"x": CUBE, "u": [1.0, -2.0]},
    ),
    "an output that is an input": ("y[n] = f(x[n])", ("y[n] = x[n]",), {"x": LINE}),
    "an output that is a transposed input": ("y[i, j] = f(x[j, i])", ("y[i, j] = x[j, i]",), {"x": TIES}),
    "an output that is a diagonal": ("y[i] = f(x[i, j])", ("y[i] = x[i, i]",), {"x": SQUARE}),
    "an output that is a diagonal of a saved tensor": (
        "y[i] = f(x[i, j])",
        ("m[i, j] = exp(x[i, j])", "y[i] = m[i, i]"),
        {"x": SQUARE},
    ),
    "an output that is a repeated input": ("y[i, j] = f(x[i], w[j])", ("y[i, j] = x[i]",), {"x": LINE, "w": [1.0, 2.0]}),
    "an output that repeats what is computed": (
        "y[i, j] = f(x[i], w[j])",
        ("y[i, j] = x[i]**3",),
        {"x": LINE, "w": [1.0, 2.0]},
    ),
    "a saved tensor that is an input": (
        "z = f(x[n])",
        ("m[n] = x[n]", "e[n] = exp(m[n])", "z = sum[n](m[n]*e[n])"),
        {"x": LINE},
    ),
    "two outputs that are one": ("y[n], z[n] = f(x[n])", ("y[n] = tanh(x[n])", "z[n] = y[n]"), {"x": LINE}),
    "two outputs that are one temporary": (
        "y[n], z[n] = f(x[n])",
        ("u[n] = exp(x[n])", "y[n] = u[n]", "z[n] = u[n]"),
        {"x": LINE},
    ),
    "two outputs of which one is transposed": (
        "y[i, j], z[j, i] = f(x[i, j])",
        ("y[i, j] = exp(x[i, j])", "z[j, i] = y[i, j]"),
        {"x": TIES},
    ),
    "a constant beside an output": ("y[n], z = f(x[n])", ("y[n] = 1", "z = sum[n](x[n]**2)"), {"x": LINE}),
    "an output that others read": ("y[n], z = f(x[n])", ("y[n] = exp(x[n])", "z = sum[n](y[n]**2)"), {"x": LINE}),
    "a largest that others read": ("y[l], z[l] = f(x[l, r])", ("y[l] = max[r](x[l, r])", "z[l] = y[l]**2"), {"x": TIES}),
    "an input that nothing reads": ("y[n] = f(x[n], w[k])", ("y[n] = x[n]**2",), {"x": LINE, "w": [1.0, 2.0]}),
    "scalars alone": ("y = f(a, b)", ("y = a*exp(b)",), {"a": 2.0, "b": -1.0}),
    "a scalar that is the output": ("y, z = f(a)", ("y = a", "z = a**2"), {"a": 2.0}),
    "a product of matrices": (
        "y[j, i] = f(a[i, k], b[k, j])",
        ("y[j, i] = sum[k](a[i, k]*b[k, j])",),
        {"a": SQUARE, "b": TIES},
    ),
    "a product over two axes": (
        "y[i] = f(a[i, k, l], b[k, l])",
        ("y[i] = sum[k, l](a[i, k, l]*b[k, l])",),
        {"a": CUBE, "b": [[1.0, 2.0], [0.0, 1.0]]},
    ),
    "a transposed sum": ("y[j, i] = f(x[i, j, k])", ("y[j, i] = sum[k](x[i, j, k]**2)",), {"x": CUBE}),
    "axes that are collapsed": (
        "y[n, d, *s] = f(x[n, d, *s], w[d])",
        ("y[n, d, *s] = w[d]*x[n, d, *s]**2",),
        {"x": CUBE, "w": [1.0, -2.0]},
    ),
    "an output of the axes that are collapsed": (
        "y[d, *s] = f(x[d, *s])",
        ("m[d] = mean[s](x[d, *s]**2)", "y[d, *s] = x[d, *s]"),
        {"x": SQUARE},
    ),
}
every = pytest.mark.parametrize("name", SYSTEMS)
both = pytest.mark.parametrize("backend", ["torch", "native.torch"])


@cache
def system(name: str, backend: str) -> tuple[st.Op, Op]:
    op = derive.parse("\n".join((SYSTEMS[name][0], *SYSTEMS[name][1])))
    module = load(plan(derive.derive(op)), "native" if backend == "native.torch" else "torch")
    if backend == "native.torch":
        module = importlib.import_module(f"{module.__package__}.torch.{op.name}")
    return op, getattr(module, op.name)


def tensors(name: str) -> list[torch.Tensor]:
    return [torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in SYSTEMS[name][2].values()]


def outputs(function: Op, given: list[torch.Tensor]) -> tuple[torch.Tensor, ...]:
    found = function(*given)
    return found if isinstance(found, tuple) else (found,)


@every
@both
def test_first_and_second_derivatives_are_those_of_the_equations(name: str, backend: str) -> None:
    op, function = system(name, backend)
    holds(function, op, {n: np.asarray(v) for n, v in SYSTEMS[name][2].items()})


@every
@both
def test_every_output_can_be_written_into(name: str, backend: str) -> None:
    """Nothing else changes then: no input, and no other output."""
    _, function = system(name, backend)
    plain = [y.detach().clone() for y in outputs(function, tensors(name))]
    for k in range(len(plain)):
        given = tensors(name)
        found = outputs(function, given)
        found[k].mul_(2).add_(1)
        for j, (y, was) in enumerate(zip(found, plain, strict=True)):
            assert torch.equal(y.detach(), 2 * was + 1 if j == k else was)
        for x, was in zip(given, tensors(name), strict=True):
            assert torch.equal(x, was)


@every
@both
def test_gradients_of_what_was_written_into_are_right_or_refused(name: str, backend: str) -> None:
    """As for torch's own ops: a tensor that the backward needs may not change before it."""
    _, function = system(name, backend)
    given = tensors(name)
    want = torch.autograd.grad(sum(y.sum() for y in outputs(function, given)), given, allow_unused=True)
    found = outputs(function, given)
    for y in found:
        y.add_(1)
    try:
        got = torch.autograd.grad(sum(y.sum() for y in found), given, allow_unused=True)
    except RuntimeError as error:
        assert "modified by an inplace operation" in str(error)
    else:
        assert all(torch.equal(g, w) for g, w in zip(got, want, strict=True) if g is not None)


@every
@both
def test_one_output_and_one_input_at_a_time(name: str, backend: str) -> None:
    """Gradients of any one output by any one input, the others without a gradient."""
    _, function = system(name, backend)
    whole = tensors(name)
    for k, y in enumerate(outputs(function, whole)):
        want = torch.autograd.grad(y.sum(), whole, allow_unused=True, retain_graph=True)
        for j, w in enumerate(want):
            some = [v if i == j else v.detach() for i, v in enumerate(tensors(name))]
            (got,) = torch.autograd.grad(outputs(function, some)[k].sum(), some[j], allow_unused=True)
            assert got is None if w is None else torch.equal(got, w)


@every
@both
def test_transforms_see_the_same_results(name: str, backend: str) -> None:
    """vmap of torch.func's gradient over a stack of inputs."""
    _, function = system(name, backend)
    given = [v.detach() for v in tensors(name)]
    stacked = [torch.stack([v, v * 1.5, v - 1]) for v in given]

    def loss(*values: torch.Tensor) -> torch.Tensor:
        return sum((y**2).sum() for y in outputs(function, list(values)))

    gradient = torch.func.grad(loss, argnums=tuple(range(len(given))))
    batched = torch.vmap(gradient)(*stacked)
    for k in range(3):
        for got, want in zip(batched, gradient(*(s[k] for s in stacked)), strict=True):
            assert torch.allclose(got[k], want, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", kernels.OPS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@both
def test_outputs_have_the_precision_of_the_inputs(name: str, dtype: torch.dtype, backend: str) -> None:
    """What is saved in a higher one, under the name of an output too, is not what is returned."""
    values = kernels.inputs(name, np.random.default_rng(0), dtype, low=2, high=4, star=1)
    found = getattr(importlib.import_module(f"generated.{backend}.{name}"), name)(*values.values())
    assert found.dtype == dtype


@pytest.mark.parametrize("name", kernels.OPS)
@both
def test_the_catalogue_can_be_written_into(name: str, backend: str) -> None:
    values = list(kernels.inputs(name, np.random.default_rng(1), low=2, high=4, star=2).values())
    given = [v.requires_grad_(v.is_floating_point()) for v in values]
    found = getattr(importlib.import_module(f"generated.{backend}.{name}"), name)(*given)
    found.mul_(2)
    assert found.requires_grad


@pytest.mark.parametrize("name", ["attention", "batchnorm", "matmul", "silu"])
@both
def test_compiled_outputs_can_be_written_into(name: str, backend: str) -> None:
    """In one graph: to a compiler a product of matrices is a view of a smaller one."""
    function = getattr(importlib.import_module(f"generated.{backend}.{name}"), name)
    given = [v.requires_grad_() for v in kernels.inputs(name, np.random.default_rng(1), low=2, high=4, star=1).values()]
    doubled = torch.compile(lambda *values: function(*values).mul_(2), fullgraph=True, backend="aot_eager")
    assert torch.allclose(doubled(*given), 2 * function(*given))
