"""Only the gradients that are wanted are computed, by the backward functions of arrays and by torch's autograd."""

from __future__ import annotations

import ast
import inspect
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from codegen.emit import emit
from codegen.load import load_source
from codegen.program import Kernel
from tests import kernels
from tests.kernels import OPS
from tests.test_differentiable import op, small

SEVERAL = [name for name in OPS if len(kernels.kernel(name).backward.results) > 1]
each = pytest.mark.parametrize("name", SEVERAL)
numpy_and_torch = pytest.mark.parametrize("backend", ["numpy", "torch"])


def subsets(results: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Each gradient alone, all but one, the first two in the other order, and none."""
    alone = [(r,) for r in results]
    rest = list(combinations(results, len(results) - 1))
    return [(), *alone, *rest, (results[1], results[0])]


@each
@numpy_and_torch
def test_what_is_wanted_is_what_all_gradients_have(name: str, backend: str) -> None:
    """To the bit, since the same lines compute it; what is not wanted is None, unless what is wanted needs it."""
    kernel, given = kernels.kernel(name), kernels.constants(name)
    values = kernels.inputs(name, np.random.default_rng(5), low=2, high=4)
    _, upstreams, _ = kernels.every_expected(name, values, None, given)
    _, env = kernels._forward(name, backend, values, upstreams, given)
    every = kernels._backward(name, backend, env, given)()
    for wanted in subsets(kernel.backward.results):
        found = kernels._backward(name, backend, env, given, wanted=wanted)()
        for result, one, of_all in zip(kernel.backward.results, found, every, strict=True):
            assert one is not None or result not in wanted, (wanted, result)
            if one is not None:
                np.testing.assert_array_equal(np.asarray(one), np.asarray(of_all), err_msg=f"{result} of {wanted}", strict=True)


@numpy_and_torch
@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (("dz",), "wanted has 'dz'; the gradients are dx, dW, db"),
        ("dx", r"wanted must be a tuple of names, such as \('dx',\), not a text"),
    ],
)
def test_a_gradient_that_does_not_exist_is_refused(backend: str, wanted: tuple[str, ...] | str, message: str) -> None:
    one = torch.ones(2, 2) if backend == "torch" else np.ones((2, 2))
    with pytest.raises(ValueError, match=message):
        kernels.module("linear", backend).linear_backward(one, one, one, wanted=wanted)


# ---- autograd ----------------------------------------------------------------------------------------------------------------


def floating(kernel: Kernel) -> list[int]:
    """The positions of the inputs that have a gradient."""
    moving = {t.name for t in kernel.op.differentiable}
    return [k for k, t in enumerate(kernel.op.inputs) if t.name in moving]


@each
def test_autograd_asks_for_the_gradients_of_what_is_not_frozen(name: str) -> None:
    kernel, values = kernels.kernel(name), small(name)
    total = lambda *given: sum((o**2).sum() for o in kernels.tupled(op(name, "torch")(*given)))  # noqa: E731
    places = floating(kernel)
    of_all = torch.autograd.grad(total(*values), [values[k] for k in places])
    for place, expected in zip(places, of_all, strict=True):
        one = [v.detach().requires_grad_(k == place) if k in places else v for k, v in enumerate(values)]
        (found,) = torch.autograd.grad(total(*one), one[place], create_graph=True)
        np.testing.assert_array_equal(found.detach(), expected)
        np.testing.assert_array_equal(torch.func.grad(total, argnums=place)(*(v.detach() for v in values)), expected)


class Counted(TorchDispatchMode):
    """Counts the operations that torch runs, by name."""

    def __init__(self) -> None:
        super().__init__()
        self.count: dict[str, int] = {}

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.overloadpacket.__name__
        self.count[name] = self.count.get(name, 0) + 1
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("frozen", [(), ("x",), ("W",), ("x", "W")])
def test_a_frozen_input_costs_no_product(frozen: tuple[str, ...]) -> None:
    """The backward of a linear layer is a product for its input and one for its weights, as in torch's own."""
    names = ("x", "W", "b")
    inputs = [
        torch.randn(*shape).requires_grad_(n not in frozen) for n, shape in zip(names, ((5, 3), (3, 4), (4,)), strict=True)
    ]
    y = op("linear", "torch")(*inputs)
    with Counted() as counted:
        y.sum().backward()
    assert counted.count.get("mm", 0) == 2 - len(frozen)


@pytest.mark.parametrize("name", ["linear", "layernorm", "attention"])
def test_compiled_and_mapped(name: str) -> None:
    values, function = small(name), op(name, "torch")
    total = lambda *given: (function(*given) ** 2).sum()  # noqa: E731
    plain = [v.detach() for v in values]
    for place in floating(kernels.kernel(name)):
        expected = torch.func.grad(total, argnums=place)(*plain)
        one = [v.clone().requires_grad_(k == place) for k, v in enumerate(plain)]
        torch._dynamo.reset()
        torch.compile(total, backend="aot_eager", fullgraph=True)(*one).backward()
        torch.testing.assert_close(one[place].grad, expected)
        stacked = [torch.stack([v, v]) for v in plain]
        mapped = torch.func.vmap(torch.func.grad(total, argnums=place))(*stacked)
        torch.testing.assert_close(mapped, torch.stack([expected, expected]))


@numpy_and_torch
def test_steps_that_no_gradient_needs_are_not_taken(backend: str, tmp_path: Path) -> None:
    """A recurrence of numbers alone has an adjoint, which leads to no input."""
    built = emit("y[n] = f(x[n], w[n])\nh[n] = 1 + h[n - 1]*h[n - 1]/8\ny[n] = x[n]*h[n]*w[n]", tmp_path, backends=[backend])
    functions = {f.name: f for f in ast.parse((tmp_path / backend / "f.py").read_text()).body if isinstance(f, ast.FunctionDef)}
    loops = {name: sum(isinstance(n, ast.For) for n in ast.walk(functions[f"f_{name}"])) for name in ("forward", "backward")}
    assert built.certified and loops == {"forward": 1, "backward": 0}


@numpy_and_torch
def test_the_argument_gives_way_to_a_name_of_the_op(backend: str, tmp_path: Path) -> None:
    built = emit("y[n] = f(wanted[n], x[n])\ny[n] = wanted[n]*x[n]", tmp_path, backends=[backend])
    module = load_source("f", (tmp_path / backend / "f.py").read_text())
    assert built.certified and list(inspect.signature(module.f_backward).parameters)[-1] == "wanted_"
