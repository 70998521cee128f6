"""NaN is passed on by relu, by maxima and minima and by their gradients as torch passes it, in every backend and evaluator."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from functools import cache
from types import ModuleType

import mpmath
import numpy as np
import pytest
import torch

import derive
from codegen.backends.discovery import by_name
from codegen.evaluate.arithmetic import Mpmath
from codegen.plan import plan
from codegen.program import Kernel
from codegen.verify.agreement import load_kernel
from derive.certify import Stage
from derive.certify.arrays import Frame
from derive.certify.flat import Values
from derive.certify.numbers import REAL
from derive.points import Point
from tests.backends import each_backend

NAN, INF = np.nan, np.inf
ROW = np.array([NAN, 0.0, -0.0, 1.0, -1.0, NAN, 2.0, INF, -INF])
OTHER = np.array([1.0, 0.0, 0.0, NAN, 2.0, NAN, 1.0, NAN, NAN])
ROWS = np.array([[1.0, NAN, 2.0], [3.0, 3.0, 0.0], [NAN, NAN, NAN], [1.0, 2.0, INF]])

#: Equations, their inputs, and what torch has for them.
SYSTEMS: dict[str, tuple[str, tuple[np.ndarray, ...], Callable[..., torch.Tensor]]] = {
    "relu": ("y[n] = f(a[n])\ny[n] = relu(a[n])", (ROW,), torch.relu),
    "maximum": ("y[n] = f(a[n], b[n])\ny[n] = maximum(a[n], b[n])", (ROW, OTHER), torch.maximum),
    "minimum": ("y[n] = f(a[n], b[n])\ny[n] = minimum(a[n], b[n])", (ROW, OTHER), torch.minimum),
    "maximum with a number": (
        "y[n] = f(a[n])\ny[n] = maximum(0, a[n])",
        (ROW,),
        lambda a: torch.maximum(a, torch.zeros_like(a)),
    ),
    "minimum with a number": (
        "y[n] = f(a[n])\ny[n] = minimum(a[n], 1)",
        (ROW,),
        lambda a: torch.minimum(a, torch.ones_like(a)),
    ),
    "max of rows": ("y[n] = f(a[n, k])\ny[n] = max[k](a[n, k])", (ROWS,), lambda a: a.amax(1)),
    "min of columns": ("y[k] = f(a[n, k])\ny[k] = min[n](a[n, k])", (ROWS,), lambda a: a.amin(0)),
    "max of all": ("y = f(a[n, k])\ny = max[n, k](a[n, k])", (ROWS,), torch.amax),
    "max of a product": (
        "y[n] = f(a[n, k], b[k])\ny[n] = max[k](a[n, k]*b[k])",
        (ROWS, np.array([1.0, 2.0, -1.0])),
        lambda a, b: (a * b).amax(1),
    ),
}
every = pytest.mark.parametrize("name", SYSTEMS)


@cache
def kernel(name: str) -> Kernel:
    return plan(derive.derive(derive.parse(SYSTEMS[name][0])))


@cache
def module(name: str, backend: str) -> ModuleType:
    return load_kernel(kernel(name), backend)


@every
@each_backend
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_values_and_gradients_are_torchs(name: str, backend: str, dtype: type) -> None:
    _, arrays, theirs = SYSTEMS[name]
    k, arrays = kernel(name), tuple(a.astype(dtype) for a in arrays)
    leaves = [torch.from_numpy(a.copy()).requires_grad_() for a in arrays]
    y = theirs(*leaves)
    dy = torch.linspace(0.5, 1.5, y.numel(), dtype=y.dtype).reshape(y.shape)
    wanted = [y.detach(), *torch.autograd.grad(y, leaves, dy)]

    found = by_name(backend)
    with found.running():
        env = {t.name: found.to(a) for t, a in zip(k.op.inputs, arrays, strict=True)} | {"dy": found.to(dy.numpy())}
        forward, backward = (getattr(module(name, backend), p.name) for p in (k.forward, k.backward))
        output, saved = forward(*(env[a.name] for a in k.forward.arguments))
        env |= dict(zip([t.name for t in k.saved], saved, strict=True))
        gradients = backward(*(env[a.name] for a in k.backward.arguments))
    results = [output, *(gradients if len(wanted) > 2 else [gradients])]
    for got, want in zip(results, wanted, strict=True):
        np.testing.assert_array_equal(np.asarray(got), want.numpy())


@pytest.mark.parametrize("name", ["relu", "maximum with a number"])
def test_written_over_the_input(name: str) -> None:
    k, x = kernel(name), ROW.copy()
    want = np.asarray(getattr(module(name, "numpy"), k.forward.name)(x)[0])
    got, _ = getattr(module(name, "native"), k.forward.name)(x, out=x)
    assert got is x
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("values", [[1.0, NAN], [NAN, 1.0], [NAN, NAN, 2.0], [2.0, 3.0, NAN]])
@pytest.mark.parametrize("kind", ["max", "min"])
def test_in_arithmetic_of_many_digits(kind: str, values: list[float]) -> None:
    arithmetic = Mpmath()
    array = np.array([arithmetic.context.mpf(v) for v in values], dtype=object)
    assert mpmath.isnan(arithmetic.reductions[kind](array, axis=(0,)))
    assert mpmath.isnan(arithmetic.functions[f"{kind}imum"](array[0], array[-1]))


@every
def test_the_evaluators_of_the_engine(name: str) -> None:
    """The author's trees and the flat terms, at a point that holds NaN."""
    text, arrays, theirs = SYSTEMS[name]
    op = kernel(name).op
    sizes = {a: n for t, v in zip(op.inputs, arrays, strict=True) for a, n in zip(t.axes, v.shape, strict=True)}
    tables = {t.name: [Decimal(float(x)) for x in v.ravel()] for t, v in zip(op.inputs, arrays, strict=True)}
    want = theirs(*map(torch.from_numpy, arrays)).numpy()
    stage = Stage(op, Point(sizes, {}))
    trees, terms = stage.trees(tables), Values(stage.frame, REAL, stage.axes, tables, derive.derive(op).written)
    for e in op.equations:
        trees.define(e.name, e.index, e.rhs)
    for found in (trees.nodes["y"].array.values, terms.table("y")):
        np.testing.assert_array_equal(np.array(found, dtype=float).reshape(want.shape), want)


def test_a_condition_and_its_complement_share_what_there_is() -> None:
    """Where NaN is compared, the other branch is taken, and only that."""
    op = derive.parse("y[n] = f(a[n], b[n], c[n])\ny[n] = where(a[n] < 1, b[n], c[n])")
    derivation = derive.derive(op)
    lines = {line.name: line.body for line in derivation.lines}
    tables = {"a": [REAL.nan], "dy": [Decimal(3)]}
    axes = {t.name: t.axes for t in op.inputs} | {"dy": ("n",)}
    values = Values(Frame({"n": 1}), REAL, axes, tables, derivation.forward)
    assert [values.sum(lines[d], ("n",)) for d in ("db", "dc")] == [[0], [3]]
