"""First and second derivatives at ties, zeros, the ends of ranges and where functions saturate, against jets of many digits.

The judge is :mod:`tests.jets`, whatever torch's own ops would have there. A smooth function has one second derivative, however
many maxima and absolute values it is computed by; at a kink that the author wrote every slope is the declared one.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from functools import cache
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch

import derive
from codegen.plan import plan
from derive import syntax as st
from derive.rounding.no_cancellation import IDENTITIES
from tests.jets import hessian
from tests.long import CORE, CORE_VARIANTS
from tests.systems.check import load

Op = Callable[..., Any]
Array = np.ndarray[Any, Any]
BACKENDS = ("torch", "native.torch")

#: The last digits are rounding's: a derivative may be off by so much of the largest, or of 1.
TOLERANCE = 1e-9
EDGES = (
    0.0,
    -0.0,
    1e-30,
    -1e-30,
    1e-8,
    -1e-8,
    0.5,
    1.0,
    -1.0,
    3.0,
    -3.0,
    20.0,
    -20.0,
    88.0,
    -88.0,
    100.0,
    -100.0,
    700.0,
    -700.0,
)


def derivatives(function: Op, op: st.Op, inputs: Mapping[str, Array], weights: Mapping[str, Array], **constants: float) -> Any:
    """What autograd makes of an op, as :func:`tests.jets.hessian` gives it."""
    given = {n: torch.from_numpy(v.copy()).requires_grad_(v.dtype.kind == "f") for n, v in inputs.items()}
    outputs = function(*given.values(), **constants)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    loss = sum((torch.from_numpy(weights[t.name]) * y).sum() for t, y in zip(op.outputs, outputs, strict=True))
    wanted = {t.name: given[t.name] for t in op.differentiable}
    first = dict(zip(wanted, _grad(loss, list(wanted.values()), create_graph=True), strict=True))
    second = {}
    for one, g in first.items():
        rows = [_grad(g[k], list(wanted.values()), retain_graph=True) for k in np.ndindex(tuple(g.shape))]
        for other, parts in zip(wanted, zip(*rows, strict=True), strict=True):
            second[one, other] = torch.stack(parts).reshape(g.shape + wanted[other].shape).numpy()
    return {n: g.detach().numpy() for n, g in first.items()}, second


def _grad(y: torch.Tensor, wanted: list[torch.Tensor], **options: bool) -> list[torch.Tensor]:
    if not y.requires_grad:
        return [torch.zeros_like(w) for w in wanted]
    found = torch.autograd.grad(y, wanted, allow_unused=True, **options)
    return [torch.zeros_like(w) if g is None else g for g, w in zip(found, wanted, strict=True)]


def holds(function: Op, op: st.Op, inputs: Mapping[str, Array], **constants: float) -> None:
    """The first and the second derivatives are those of the equations, at this point."""
    shapes = _output_shapes(op, inputs)
    weights = {n: np.linspace(0.5, 1.5, int(np.prod(s))).reshape(s) for n, s in shapes.items()}
    got = derivatives(function, op, inputs, weights, **constants)
    want = hessian(op, inputs, weights, constants)
    for order, ours, right in zip(("first", "second"), got, want, strict=True):
        for name in right:
            bound = TOLERANCE * max(1.0, float(np.abs(right[name]).max(initial=0.0)))
            if bound < np.inf:
                assert np.allclose(ours[name], right[name], rtol=0, atol=bound), (
                    f"{order} derivative by {name} at {dict(inputs)}: {ours[name]} instead of {right[name]}"
                )


def _output_shapes(op: st.Op, inputs: Mapping[str, Array]) -> dict[str, tuple[int, ...]]:
    length = {a: n for t in op.inputs for a, n in zip(t.axes, inputs[t.name].shape, strict=True)}
    return {t.name: tuple(length[a] for a in t.axes) for t in op.outputs}


def arrays(**values: Any) -> dict[str, Array]:
    return {n: np.asarray(v, dtype=None if n == "t" else np.float64) for n, v in values.items()}


# ---- invented systems -------------------------------------------------------------------------------------------------------

#: Functions of one number, and the ends of their pieces.
ELEMENTWISE: dict[str, tuple[str, tuple[float, ...]]] = {
    "softplus": ("log(1 + exp(x[n]))", ()),
    "softplus with a temperature": ("2*log(1 + exp(x[n]/2))", ()),
    "logistic": ("1/(1 + exp(-x[n]))", ()),
    "logarithm of a logistic": ("log(1/(1 + exp(-x[n])))", ()),
    "swish": ("x[n]/(1 + exp(-x[n]))", ()),
    "mish": ("x[n]*tanh(log(1 + exp(x[n])))", ()),
    "tanh of the exponentials": ("(exp(x[n]) - exp(-x[n]))/(exp(x[n]) + exp(-x[n]))", ()),
    "log cosh": ("log(cosh(x[n]))", ()),
    "two exponentials": ("log(exp(x[n]) + exp(-x[n]))", ()),
    "three exponentials": ("log(exp(x[n]) + exp(2*x[n]) + exp(-x[n]))", ()),
    "three that tie": ("log(exp(x[n]) + exp(x[n]**2) + exp(2*x[n]))", ()),
    "gelu by tanh": ("x[n]/2*(1 + tanh(0.7978845608*(x[n] + 0.044715*x[n]**3)))", ()),
    "gelu": ("x[n]/2*(1 + erf(x[n]/sqrt(2)))", ()),
    "the other tail": ("x[n]*(1 - erf(x[n]))", ()),
    "erfcx": ("erfcx(x[n])", (2.0, -2.0)),
    "exp less one": ("exp(x[n]) - 1", ()),
    "log of a square": ("log(1 + x[n]**2)", ()),
    "rooted square": ("sqrt(x[n]**2 + 1/100)", ()),
    "bell": ("exp(-x[n]**2/2)", ()),
    "atan": ("atan(x[n])", ()),
    "cube of the size": ("abs(x[n])**3", ()),
    "x times its size": ("x[n]*abs(x[n])", ()),
    "softsign": ("x[n]/(1 + abs(x[n]))", ()),
    "elu": ("where(x[n] > 0, x[n], exp(x[n]) - 1)", ()),
    "leaky relu": ("where(x[n] > 0, x[n], x[n]/10)", ()),
    "relu": ("relu(x[n])", ()),
    "relu squared": ("relu(x[n])**2", ()),
    "positive part": ("maximum(x[n], 0)", ()),
    "positive part squared": ("maximum(0, x[n])**2", ()),
    "hard swish": ("x[n]*minimum(maximum(x[n] + 3, 0), 6)/6", ()),
    "hard tanh": ("maximum(-1, minimum(1, x[n]))", ()),
    "huber": ("where(abs(x[n]) <= 1, x[n]**2/2, abs(x[n]) - 1/2)", ()),
    "smooth l1 by a minimum": ("minimum(abs(x[n]), 1)*(abs(x[n]) - minimum(abs(x[n]), 1)/2)", ()),
    "hinge": ("maximum(0, 1 - x[n])", ()),
    "chain of maxima": ("maximum(maximum(x[n], 2*x[n]), x[n]**2)", ()),
    "maximum of equals": ("maximum(x[n]**2, x[n]*x[n])*x[n]", ()),
    "steps": ("x[n]**2*floor(x[n]) + x[n]*sign(x[n])", ()),
    "silu beside its own maximum": ("silu(x[n]) + maximum(0, x[n])*x[n]", ()),
}


@cache
def system(text: str, variant: str = "", backend: str = "torch") -> tuple[st.Op, Op]:
    op = derive.parse(text).as_variant(variant)
    kernel = plan(derive.derive(op))
    module = load(kernel, "native" if backend == "native.torch" else "torch")
    if backend == "native.torch":
        module = importlib.import_module(f"{module.__package__}.torch.{op.name}")
    return op, getattr(module, op.name)


def elementwise(name: str, variant: str, backend: str) -> None:
    formula, ends = ELEMENTWISE[name]
    op, function = system(f"y[n] = f(x[n])\ny[n] = {formula}", variant, backend)
    for x in (*EDGES, *ends):
        holds(function, op, arrays(x=[x]))


@pytest.mark.parametrize("name", ELEMENTWISE)
@pytest.mark.parametrize("variant", ["", "accurate"])
def test_functions_of_one_number(name: str, variant: str) -> None:
    elementwise(name, variant, "torch")


@pytest.mark.parametrize("name", ["softplus", "hard swish", "three that tie"])
def test_functions_of_one_number_over_kernels_in_c(name: str) -> None:
    elementwise(name, "", "native.torch")


#: Value, first and second derivative at -inf and at inf: the limits, where there are any.
INFINITE = {
    "softplus": ((0, np.inf), (0, 1), (0, 0)),
    "logistic": ((0, 1), (0, 0), (0, 0)),
    "logarithm of a logistic": ((-np.inf, 0), (1, 0), (0, 0)),
    "relu": ((0, np.inf), (0, 1), (0, 0)),
    "positive part": ((0, np.inf), (0, 1), (0, 0)),
    "hard tanh": ((-1, 1), (0, 0), (0, 0)),
}


@pytest.mark.parametrize("name", INFINITE)
@pytest.mark.parametrize("variant", ["", "accurate"])
def test_infinity(name: str, variant: str) -> None:
    _, function = system(f"y[n] = f(x[n])\ny[n] = {ELEMENTWISE[name][0]}", variant)
    x = torch.tensor([-np.inf, np.inf], dtype=torch.float64, requires_grad=True)
    y = function(x)
    (first,) = _grad(y.sum(), [x], create_graph=True)
    (second,) = _grad(first.sum(), [x])
    for got, want in zip((y, first, second), INFINITE[name], strict=True):
        assert np.array_equal(got.detach().numpy(), np.array(want, dtype=np.float64))


#: Functions of two numbers: mixed derivatives too.
PAIRS = {
    "logaddexp": "log(exp(a[n]) + exp(b[n]))",
    "logistic of a difference": "1/(1 + exp(b[n] - a[n]))",
    "cross-entropy of a logit": "log(1 + exp(a[n])) - a[n]*b[n]",
    "gate": "tanh(a[n])*sigmoid(b[n])",
    "length": "sqrt(a[n]**2 + b[n]**2 + 1/10)",
    "larger": "maximum(a[n], b[n])",
    "larger times smaller": "maximum(a[n], b[n])*minimum(a[n], b[n])",
    "distance squared by parts": "maximum(a[n] - b[n], 0)**2 + abs(a[n] - b[n])*a[n]",
    "hinge": "maximum(0, 1 - a[n]*b[n])**2",
    "huber": "where(abs(a[n] - b[n]) < 1, (a[n] - b[n])**2/2, abs(a[n] - b[n]) - 1/2)",
}
VALUES = (0.0, 1e-8, -1.0, 1.0, 2.0, 20.0, -88.0, 700.0)


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("variant", ["", "accurate"])
def test_functions_of_two_numbers(name: str, variant: str) -> None:
    op, function = system(f"y[n] = f(a[n], b[n])\ny[n] = {PAIRS[name]}", variant)
    for a, b in product(VALUES, VALUES):
        holds(function, op, arrays(a=[a], b=[b]))


ROWS = (
    [[0.0, 0.0, 0.0]],
    [[1.0, 1.0, -2.0]],
    [[0.0, 1e-8, -1e-8]],
    [[20.0, -20.0, 20.0]],
    [[88.0, -88.0, 0.0]],
    [[700.0, 700.0, -700.0]],
    [[-700.0, -700.0, -700.0]],
    [[0.5, -1.0, 2.0]],
)
#: Functions of a row.
REDUCTIONS = {
    "log-sum-exp": ("y[n] = f(z[n, k])", "y[n] = log(sum[k](exp(z[n, k])))"),
    "softmax with a temperature": (
        "p[n, k] = f(z[n, k], tau=0.5)",
        "tau > 0\np[n, k] = exp(z[n, k]/tau)/sum[k](exp(z[n, k]/tau))",
    ),
    "soft maximum": ("y[n] = f(z[n, k])", "y[n] = sum[k](z[n, k]*exp(z[n, k]))/sum[k](exp(z[n, k]))"),
    "one more exponential": ("y[n] = f(z[n, k])", "y[n] = log(1 + sum[k](exp(z[n, k])))"),
    "entropy": (
        "y[n] = f(z[n, k])",
        "p[n, k] = exp(z[n, k])/sum[k](exp(z[n, k]))\nl[n] = log(sum[k](exp(z[n, k])))\ny[n] = l[n] - sum[k](p[n, k]*z[n, k])",
    ),
    "largest": ("y[n] = f(z[n, k])", "y[n] = max[k](z[n, k])"),
    "square of the largest": ("y[n] = f(z[n, k])", "m[n] = max[k](z[n, k])\ny[n] = m[n]**2"),
    "range": ("y[n] = f(z[n, k])", "y[n] = (max[k](z[n, k]) - min[k](z[n, k]))**2/4"),
    "largest size": ("y = f(z[n, k])", "y = max[n, k](abs(z[n, k]))**2"),
    "largest beside others": ("y = f(z[n, k])", "y = max[n, k](z[n, k])*sum[n, k](z[n, k]) + sum[n, k](z[n, k]**2)"),
    "sum of softplus": ("y[n] = f(z[n, k])", "y[n] = sum[k](log(1 + exp(z[n, k])))"),
}


@pytest.mark.parametrize("name", REDUCTIONS)
@pytest.mark.parametrize("variant", ["", "accurate"])
def test_functions_of_a_row(name: str, variant: str) -> None:
    op, function = system("\n".join(REDUCTIONS[name]), variant)
    for row in ROWS:
        holds(function, op, arrays(z=row), **({"tau": 0.5} if op.constants else {}))


@pytest.mark.parametrize("name", ["square of the largest", "entropy"])
def test_functions_of_a_row_over_kernels_in_c(name: str) -> None:
    op, function = system("\n".join(REDUCTIONS[name]), "", "native.torch")
    for row in ROWS:
        holds(function, op, arrays(z=row))


# ---- the catalogue ----------------------------------------------------------------------------------------------------------

UNARY = ("gelu", "relu", "sigmoid", "silu", "tanh")
FLAT = [[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]]
MIXED = [[0.0, 1.0, -2.0], [20.0, 0.0, 0.0]]
POINTS: dict[str, list[dict[str, Array]]] = {
    **{name: [arrays(x=[x]) for x in EDGES] for name in UNARY},
    "softmax": [arrays(z=row) for row in ROWS],
    "log_softmax": [arrays(z=row) for row in ROWS],
    "softmax_cross_entropy": [arrays(z=[row[0], row[0]], t=[0, 2]) for row in ROWS],
    "layernorm": [arrays(x=x, gamma=[1.0, 0.0, -2.0], beta=[0.0, 1.0, 0.0]) for x in (FLAT, MIXED)],
    "rmsnorm": [arrays(x=x, gamma=[1.0, 0.0, -2.0]) for x in (FLAT, MIXED)],
    "batchnorm": [arrays(x=np.reshape(x, (2, 3, 1)), gamma=[1.0, 0.0, -2.0], beta=[0.0, 1.0, 0.0]) for x in (FLAT, MIXED)],
    "linear": [arrays(x=MIXED, W=[[0.0, 1.0], [1.0, 0.0], [2.0, 2.0]], b=[0.0, 0.0])],
    "matmul": [arrays(a=[MIXED], b=[[[0.0, 1.0], [1.0, 0.0], [2.0, 2.0]]])],
    "embedding": [arrays(table=FLAT, t=[1, 1, 0])],
    "attention": [
        arrays(q=[[q]], k=[[[1.0, 2.0], k]], v=[[[1.0], [2.0]]])
        for q, k in (([0.0, 0.0], [1.0, 2.0]), ([20.0, -9.0], [0.0, 1.0]))
    ],
}
#: Compositions of the above, of which each second derivative would take minutes.
NETWORKS = {"makemore", "mlp"}


def test_every_op_of_the_catalogue_has_points() -> None:
    assert POINTS.keys() == set(CORE) - NETWORKS


@pytest.mark.parametrize("name", sorted({*POINTS, *CORE_VARIANTS}))
@pytest.mark.parametrize("backend", BACKENDS)
def test_the_catalogue(name: str, backend: str) -> None:
    op = derive.load(name)
    function = getattr(importlib.import_module(f"generated.{backend}.{name}"), name)
    constants = {c.name: float(c.default or 0) for c in op.constants}
    for point in POINTS[op.base]:
        shaped = op.stars & {a for t in op.inputs for a in t.axes}
        assert not shaped or all(point[t.name].ndim == len(t.axes) for t in op.inputs)
        holds(function, op, point, **constants)


@pytest.mark.parametrize(("left", "right"), IDENTITIES, ids=[left for left, _ in IDENTITIES])
def test_identities_that_avoid_cancellation_have_one_slope(left: str, right: str) -> None:
    """By the declared slopes of what stands on the right, at the ends of its branches too."""
    ops = [derive.parse(f"y = f(u)\ny = {side}") for side in (left, right)]
    for u in EDGES:
        one, other = (hessian(op, arrays(u=u), arrays(y=1.0), {})[0]["u"] for op in ops)
        assert np.allclose(one, other, rtol=1e-12, atol=0)


# ---- the ways to a second derivative ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", ["silu", "gelu_accurate", "sigmoid"])
def test_transforms_differentiate_as_autograd_does(name: str, backend: str) -> None:
    """torch.func twice, under vmap and on its own, at a tie."""
    function = getattr(importlib.import_module(f"generated.{backend}.{name}"), name)
    x = torch.tensor(EDGES[:13], dtype=torch.float64)
    twice = torch.func.grad(torch.func.grad(function))
    want = [hessian(derive.load(name), {"x": np.array([v])}, {"y": np.ones(1)}, {})[1]["x", "x"][0, 0] for v in x.tolist()]
    for got in (torch.vmap(twice)(x), torch.stack([twice(v) for v in x])):
        assert torch.allclose(got, torch.tensor(want, dtype=x.dtype), rtol=0, atol=TOLERANCE)
    rows = torch.func.jacrev(torch.func.jacrev(lambda v: function(v).sum()))(x)
    assert torch.allclose(rows, torch.diag(torch.tensor(want, dtype=x.dtype)), rtol=0, atol=TOLERANCE)
