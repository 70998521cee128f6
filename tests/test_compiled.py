"""The torch ops, plain and native, under ``torch.compile`` between other operations, and beside parameters of another dtype."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from torch.func import grad, jacrev, vmap

from tests import kernels
from tests.kernels import OPS
from tests.long import NETWORKS, all_but

Tensors = tuple[torch.Tensor, ...]

both = pytest.mark.parametrize("backend", ["torch", "native.torch"])
LABELLED = [n for n in OPS if any(t.labels for t in kernels.kernel(n).op.inputs)]


@pytest.fixture(autouse=True)
def _nothing_compiled() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def compiled(function: Callable[..., object]) -> Callable[..., object]:
    """The function traced in one graph that is run as it is: what an op gets wrong, it gets wrong in tracing."""
    return torch.compile(function, fullgraph=True, backend="eager")


def between(name: str, backend: str) -> tuple[Callable[..., torch.Tensor], Tensors]:
    """A number computed by the op with operations before and after it, and its arguments."""
    values = list(kernels.inputs(name, np.random.default_rng(4), torch.float64, low=2, high=4, star=1).values())
    places = [k for k, v in enumerate(values) if v.is_floating_point()]
    function = getattr(kernels.module(name, backend), name)

    def scalar(*arguments: torch.Tensor) -> torch.Tensor:
        given = list(values)
        for k, v in zip(places, arguments, strict=True):
            given[k] = v.sin()
        return (function(*given).cos() ** 3).sum()

    return scalar, tuple(values[k] for k in places)


def second(scalar: Callable[..., torch.Tensor], count: int) -> Callable[..., Tensors]:
    """The gradients of the sum of the squared gradients."""
    first = grad(scalar, tuple(range(count)))
    return grad(lambda *arguments: sum(((g**2).sum() for g in first(*arguments)), torch.zeros(())), tuple(range(count)))


@both
@pytest.mark.parametrize("name", all_but([n for n in OPS if n in NETWORKS or n.endswith("_accurate")], OPS))
def test_a_second_derivative_between_other_operations(name: str, backend: str) -> None:
    scalar, arguments = between(name, backend)
    function = second(scalar, len(arguments))
    for got, want in zip(compiled(function)(*arguments), function(*arguments), strict=True):
        torch.testing.assert_close(got, want, rtol=1e-6, atol=1e-9)


@both
@pytest.mark.parametrize(
    "transform",
    [
        pytest.param(lambda f: vmap(grad(f)), id="vmap-grad"),
        pytest.param(lambda f: grad(lambda x: vmap(f)(x).sum()), id="grad-vmap"),
        pytest.param(lambda f: jacrev(grad(f)), id="jacrev-grad"),
        pytest.param(lambda f: vmap(lambda x: second(f, 1)(x)[0]), id="vmap-grad-grad"),
    ],
)
def test_nested_transforms_between_other_operations(transform: Callable[..., Callable[..., object]], backend: str) -> None:
    softmax = kernels.module("softmax", backend).softmax
    x = torch.linspace(-2, 2, 12, dtype=torch.float64).reshape(3, 4)
    function = transform(lambda x: (softmax(x.sin()) ** 3).sum())
    torch.testing.assert_close(compiled(function)(x), function(x), rtol=1e-12, atol=1e-14)


@both
@pytest.mark.parametrize("name", ["relu", "softmax"])
def test_the_declared_slope_at_a_tie(name: str, backend: str) -> None:
    """Nested transforms are traced through the forward, whose operations have the declared derivatives at kinks too."""
    function = getattr(kernels.module(name, backend), name)
    x = torch.tensor([[0.0, 0.0, -1.0, 3.0, 3.0]], dtype=torch.float64)
    gradient = vmap(grad(lambda x: (function(x * 1.0) * torch.arange(1.0, 6.0)).sum()))
    torch.testing.assert_close(compiled(gradient)(x), gradient(x), rtol=1e-14, atol=0)


@both
@pytest.mark.parametrize("name", LABELLED)
@pytest.mark.parametrize("wrong", [-1, -100, 1000])
def test_a_wrong_label_is_never_taken_for_another(name: str, backend: str, wrong: int) -> None:
    values = kernels.inputs(name, np.random.default_rng(5), torch.float64, low=3, high=4, star=1)
    labels = next(t.name for t in kernels.kernel(name).op.inputs if t.labels)
    values[labels].view(-1)[0] = wrong
    function = getattr(kernels.module(name, backend), name)
    arguments = tuple(values.values())
    batch = tuple(v[None] for v in arguments)
    for run, given in ((function, arguments), (compiled(function), arguments), (vmap(function), batch)):
        with pytest.raises((IndexError, RuntimeError)):
            run(*given)


@pytest.mark.parametrize("name", ["rmsnorm", "layernorm", "batchnorm", "rmsnorm_accurate"])
def test_the_gradient_of_a_parameter_is_not_rounded_to_the_dtype_of_the_output(name: str) -> None:
    """A float32 parameter beside bfloat16 data has a gradient with float32's digits; that of the data is bfloat16."""
    values = kernels.inputs(name, np.random.default_rng(6), torch.float32, low=40, high=50, star=1)
    x = values["x"].bfloat16()
    parameters = [v for n, v in values.items() if n != "x"]
    function = getattr(kernels.module(name, "torch"), name)

    def gradients(x: torch.Tensor, parameters: list[torch.Tensor]) -> Tensors:
        leaves = [t.clone().requires_grad_() for t in (x, *parameters)]
        return torch.autograd.grad(function(*leaves), leaves, x.detach())

    found = gradients(x, parameters)
    exact = gradients(x.double(), [p.double() for p in parameters])
    assert [g.dtype for g in found] == [torch.bfloat16, *[torch.float32] * len(parameters)]
    for got, want in zip(found[1:], exact[1:], strict=True):
        torch.testing.assert_close(got.double(), want, rtol=1e-5, atol=1e-5)
