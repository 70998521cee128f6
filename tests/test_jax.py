"""The JAX kernels: value, first and second derivatives, under jit and vmap, in half precision, with traced constants."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from codegen.backends.arrays.backend import ArrayBackend
from codegen.backends.arrays.discovery import array_backends, arrays
from codegen.backends.discovery import by_name, load_kernel
from codegen.chain import chain_ops, render_chain
from codegen.load import load_source
from codegen.plan import plan
from codegen.program import Kernel
from codegen.verify.agreement import agreement, autograd, constants_of, packed, sample
from codegen.verify.reference import evaluate
from derive import derive, load, parse
from tests.long import CORE, NETWORKS, OPS, all_but

jax = pytest.importorskip("jax", reason="JAX is not installed")


@pytest.fixture(autouse=True)
def in_double() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


@cache
def built(name: str) -> tuple[Kernel, ModuleType]:
    kernel = plan(derive(load(name)))
    return kernel, load_kernel(kernel, "jax")


def arguments(kernel: Kernel, seed: int = 0) -> tuple[dict[str, torch.Tensor], dict[str, float], list[torch.Tensor]]:
    """Inputs, constants and adjoints of the outputs."""
    op = kernel.op
    inputs, constants = sample(op, seed), constants_of(op, seed)
    generator = torch.Generator().manual_seed(seed)
    values = evaluate(op, inputs, constants)
    return inputs, constants, [torch.randn(values[t.name].shape, generator=generator, dtype=torch.float64) for t in op.outputs]


def op_of(
    kernel: Kernel, module: ModuleType, inputs: dict[str, torch.Tensor], constants: dict[str, float]
) -> Callable[..., Any]:
    """The differentiable op as a function of its floating inputs; its outputs always in a list."""
    wanted = [t.name for t in kernel.op.differentiable]
    fixed = {t.name: jax.numpy.asarray(inputs[t.name].numpy()) for t in kernel.op.inputs if t.integer} | constants

    def function(*floating: Any) -> list[Any]:
        found = getattr(module, kernel.op.name)(**dict(zip(wanted, floating, strict=True)), **fixed)
        return [found] if len(kernel.op.outputs) == 1 else list(found)

    return function


def floating(kernel: Kernel, inputs: dict[str, torch.Tensor]) -> list[Any]:
    return [jax.numpy.asarray(v.numpy()) for v in as_callers(kernel, [inputs[t.name] for t in kernel.op.differentiable])]


def as_callers(kernel: Kernel, values: list[torch.Tensor]) -> list[torch.Tensor]:
    """The differentiable inputs, or their gradients, in the shapes that callers have."""
    return [packed(kernel.op, t.name, v) for t, v in zip(kernel.op.differentiable, values, strict=True)]


def loss(function: Callable[..., Any], adjoints: list[torch.Tensor]) -> Callable[..., Any]:
    given = [jax.numpy.asarray(a.numpy()) for a in adjoints]
    return lambda *leaves: sum(jax.numpy.vdot(y, dy) for y, dy in zip(function(*leaves), given, strict=True))


def close(got: Any, want: torch.Tensor, tolerance: float = 1e-12) -> None:
    scale = max(float(want.abs().max()) if want.numel() else 0.0, 1.0)
    np.testing.assert_allclose(np.asarray(got), want.numpy(), rtol=0, atol=tolerance * scale)


@pytest.mark.parametrize("name", OPS)
def test_kernels_agree_with_autograd(name: str) -> None:
    kernel, module = built(name)
    assert agreement(kernel, module, "jax", seeds=(0, 1)).largest < 1e-12


@pytest.mark.parametrize("name", OPS)
def test_first_and_second_derivatives_under_jit(name: str) -> None:
    """The second derivative of ``sum(dy*y)`` along random directions, against torch's double backward of the equations."""
    kernel, module = built(name)
    inputs, constants, adjoints = arguments(kernel)
    function = loss(op_of(kernel, module, inputs, constants), adjoints)
    leaves = floating(kernel, inputs)
    if not leaves:
        return
    which = tuple(range(len(leaves)))
    gradient = jax.grad(function, which)
    wanted = as_callers(kernel, autograd(kernel.op, inputs, adjoints, constants))
    for got, want in zip(jax.jit(gradient)(*leaves), wanted, strict=True):
        close(got, want)
    rng = np.random.default_rng(3)
    directions = [rng.normal(size=v.shape) for v in leaves]

    def along(*given: Any) -> Any:
        return sum(jax.numpy.vdot(g, d) for g, d in zip(gradient(*given), directions, strict=True))

    second = jax.jit(jax.grad(along, which))(*leaves)
    for got, want in zip(second, twice(kernel, inputs, constants, adjoints, directions), strict=True):
        close(got, want, 1e-11)


def twice(kernel: Kernel, inputs: Any, constants: Any, adjoints: Any, directions: list[Any]) -> list[torch.Tensor]:
    op = kernel.op
    leaves = {n: v.detach().clone().requires_grad_(v.is_floating_point()) for n, v in inputs.items()}
    values = evaluate(op, leaves, constants)
    wanted = [leaves[t.name] for t in op.differentiable]
    first = torch.autograd.grad([values[t.name] for t in op.outputs], wanted, adjoints, create_graph=True, allow_unused=True)
    pairs = [
        (g, torch.from_numpy(d).reshape(g.shape))
        for g, d in zip(first, directions, strict=True)
        if g is not None and g.requires_grad
    ]
    if not pairs:
        return as_callers(kernel, [torch.zeros_like(w) for w in wanted])
    total = torch.stack([(g * d).sum() for g, d in pairs]).sum()
    found = torch.autograd.grad(total, wanted, allow_unused=True)
    return as_callers(kernel, [torch.zeros_like(w) if g is None else g for w, g in zip(wanted, found, strict=True)])


@pytest.mark.parametrize("name", ["softmax", "gelu", "tanh", "layernorm", "rmsnorm", "relu"])
def test_vmap_is_a_loop(name: str) -> None:
    kernel, module = built(name)
    inputs, constants, _ = arguments(kernel)
    function = op_of(kernel, module, inputs, constants)
    first, *rest = floating(kernel, inputs)
    many = jax.numpy.stack([first, 2 * first, first - 1])

    def gradient(x: Any) -> Any:
        return jax.grad(lambda v: sum(y.sum() for y in function(v, *rest)))(x)

    for mapped, one in (
        (jax.vmap(lambda x: function(x, *rest)[0]), lambda x: function(x, *rest)[0]),
        (jax.vmap(gradient), gradient),
    ):
        np.testing.assert_allclose(mapped(many), np.stack([one(x) for x in many]), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", all_but(NETWORKS, CORE))
def test_half_precision_is_computed_in_float32_and_rounded_once(name: str, dtype: str) -> None:
    kernel, module = built(name)
    inputs, constants, _ = arguments(kernel)
    half = [v.astype(dtype) for v in floating(kernel, inputs)]
    function = op_of(kernel, module, inputs, constants)
    wide = function(*(v.astype("float32") for v in half))
    for got, want in zip(function(*half), wide, strict=True):
        assert got.dtype == dtype
        np.testing.assert_array_equal(np.asarray(got, "float32"), np.asarray(want.astype(dtype), "float32"))
    which = tuple(range(len(half)))
    gradients = jax.grad(lambda *v: sum(y.astype("float32").sum() for y in function(*v)), which)(*half)
    assert all(g.dtype == dtype for g in gradients)


def test_constants_may_be_traced() -> None:
    _, module = built("layernorm")
    x, g, b = np.random.default_rng(0).normal(size=(3, 5)), np.ones(5), np.zeros(5)
    x, g, b = (jax.numpy.asarray(v) for v in (x, g, b))
    under = jax.jit(lambda eps: module.layernorm(x, g, b, eps))(1e-3)
    np.testing.assert_allclose(under, module.layernorm(x, g, b, 1e-3), rtol=1e-13)
    op = parse("y[n] = f(x[n], k=2)\ny[n] = x[n]/sqrt(k) + k**2*tanh(k*x[n])")
    kernel = plan(derive(op))
    own = load_kernel(kernel, "jax").f
    v = jax.numpy.asarray([0.3, -1.2])
    np.testing.assert_allclose(jax.jit(own)(v, 0.7), np.asarray(v) / 0.7**0.5 + 0.49 * np.tanh(0.7 * np.asarray(v)), rtol=1e-13)


@pytest.mark.parametrize("name", ["embedding", "softmax_cross_entropy"])
@pytest.mark.parametrize("wrong", [-1, -100, 3, 1000])
def test_a_wrong_label_under_jit_gives_no_plausible_number(name: str, wrong: int) -> None:
    function = getattr(built(name)[1], name)
    data = jax.numpy.arange(9.0).reshape(3, 3)
    found = np.asarray(jax.jit(function)(data, jax.numpy.asarray([0, wrong, 2])))
    assert np.isnan(found[1] if name == "embedding" else found).all()
    assert np.isfinite(jax.jit(function)(data, jax.numpy.asarray([0, 1, 2]))).all()


def test_labels_are_checked_where_they_have_values() -> None:
    _, module = built("embedding")
    table, labels = jax.numpy.arange(6.0).reshape(3, 2), jax.numpy.asarray([2, 0])
    np.testing.assert_array_equal(jax.jit(module.embedding)(table, labels), [[4, 5], [0, 1]])
    with pytest.raises(IndexError, match="t holds labels from 0 to 3; expected 0 to 2"):
        module.embedding_forward(table, jax.numpy.asarray([3, 0]))
    gradient = jax.jit(jax.grad(lambda w: (module.embedding(w, labels) ** 2).sum()))(table)
    np.testing.assert_array_equal(gradient, [[0, 2], [0, 0], [8, 10]])


def test_what_is_no_array_of_the_right_kind_is_refused_by_name() -> None:
    _, module = built("tanh")
    with pytest.raises(TypeError, match="x must be a JAX array, not ndarray"):
        module.tanh_forward(np.ones(3))
    with pytest.raises(TypeError, match="x has dtype int64; expected a floating-point one"):
        module.tanh_forward(jax.numpy.arange(3))
    _, module = built("linear")
    with pytest.raises(ValueError, match="W has length 4 on axis"):
        module.linear_forward(jax.numpy.ones((2, 3)), jax.numpy.ones((4, 5)), jax.numpy.ones(5))


def test_emitting_asks_for_no_jax() -> None:
    kernel, _ = built("gelu")
    assert by_name("jax").files(kernel, "a test")["jax/gelu.py"].count("jax.custom_vjp") == 1


@pytest.mark.parametrize("name", all_but(NETWORKS, chain_ops()))
def test_the_chain_rule_line_by_line_is_that_of_the_first_backend(name: str) -> None:
    kernel, _ = built(name)
    inputs, constants, adjoints = arguments(kernel)

    def values(backend: ArrayBackend) -> dict[str, Any]:
        module = load_source(name, render_chain(load(name), backend, "a test"))
        known: dict[str, Any] = {n: backend.to(packed(kernel.op, n, v)) for n, v in inputs.items()} | constants
        known |= getattr(module, f"{name}_values")(**known)
        known |= {f"d{t.name}": backend.to(u) for t, u in zip(kernel.op.outputs, adjoints, strict=True)}
        for adjoint in module.ADJOINTS:
            known[adjoint.__name__] = adjoint(**{p: known[p] for p in inspect.signature(adjoint).parameters})
        return known

    first, *_ = array_backends().values()
    found = values(arrays("jax"))
    for key, want in values(first).items():
        np.testing.assert_allclose(found[key], want, rtol=1e-11, atol=1e-12, err_msg=key)


@pytest.mark.parametrize("name", all_but(NETWORKS, OPS))
def test_without_float64_everything_is_float32(name: str) -> None:
    """As JAX is where nobody asks for more: nothing is promoted, nothing warns, and float32 is as near as it can be."""
    kernel, module = built(name)
    inputs, constants, adjoints = arguments(kernel)
    expected = as_callers(kernel, autograd(kernel.op, inputs, adjoints, constants))
    # On a graphics card JAX multiplies matrices of float32 in fewer digits where it is not told otherwise.
    with jax.enable_x64(False), jax.default_matmul_precision("highest"), warnings.catch_warnings():
        warnings.simplefilter("error")
        leaves = [v.astype("float32") for v in floating(kernel, inputs)]
        function = op_of(kernel, module, inputs, constants)
        assert all(y.dtype == "float32" for y in function(*leaves))
        if leaves:
            total = loss(function, [a.float() for a in adjoints])
            for got, want in zip(jax.jit(jax.grad(total, tuple(range(len(leaves)))))(*leaves), expected, strict=True):
                assert got.dtype == "float32"
                close(got, want, 2e-5)


def test_forward_over_reverse_and_checkpoints_go_through() -> None:
    _, module = built("softmax")
    z = jax.numpy.asarray(np.random.default_rng(0).normal(size=4))

    def total(v: Any) -> Any:
        return (module.softmax(v) ** 3).sum()

    want = jax.hessian(lambda v: (jax.nn.softmax(v) ** 3).sum())(z)
    np.testing.assert_allclose(jax.hessian(total)(z), want, atol=1e-13)
    np.testing.assert_allclose(jax.jacrev(jax.grad(jax.checkpoint(total)))(z), want, atol=1e-13)


def test_scan_over_the_op() -> None:
    _, module = built("tanh")
    x = jax.numpy.asarray([0.3, -2.0])

    def repeated(v: Any) -> Any:
        return jax.lax.scan(lambda carry, _: (module.tanh(carry), None), v, None, length=3)[0].sum()

    want = jax.grad(lambda v: jax.numpy.tanh(jax.numpy.tanh(jax.numpy.tanh(v))).sum())(x)
    np.testing.assert_allclose(jax.jit(jax.grad(repeated))(x), want, rtol=1e-13)
