"""The torch ops as torch users meet them, plain and native: autograd to second order, torch.func, vmap, compile and export."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests import kernels
from tests.kernels import OPS

every = pytest.mark.parametrize("name", OPS)
both = pytest.mark.parametrize("backend", ["torch", "native.torch"])


def op(name: str, backend: str):
    return getattr(kernels.module(name, backend), name)


def small(name: str) -> list[torch.Tensor]:
    """Small inputs away from kinks, floating ones requiring a gradient."""
    values = kernels.inputs(name, np.random.default_rng(2), low=2, high=3, star=1)
    out = []
    for v in values.values():
        if v.is_floating_point():
            v = v / max(1.0, float(v.abs().max()))
            v = torch.where(v.abs() < 0.05, v + 0.1, v).requires_grad_()
        out.append(v)
    return out


@every
@both
def test_gradcheck(name: str, backend: str) -> None:
    assert torch.autograd.gradcheck(op(name, backend), small(name))


@every
@both
def test_gradgradcheck(name: str, backend: str) -> None:
    """Second order: what the forward saves must not cut the graph."""
    assert torch.autograd.gradgradcheck(op(name, backend), small(name), atol=1e-4)


@every
@both
def test_func_grad_and_vmap(name: str, backend: str) -> None:
    """vmap(grad) over a stack of inputs equals a loop."""
    values = small(name)
    floats = [k for k, v in enumerate(values) if v.is_floating_point()]
    stacked = [torch.stack([v.detach() * (1 + 0.1 * k) if v.is_floating_point() else v for k in range(3)]) for v in values]

    def scalar(*args: torch.Tensor) -> torch.Tensor:
        return (op(name, backend)(*args) ** 2).sum()

    grad = torch.func.grad(scalar, argnums=tuple(floats))
    batched = torch.vmap(grad)(*stacked)
    for k in range(3):
        alone = grad(*(s[k] for s in stacked))
        for got, want in zip(batched, alone, strict=True):
            assert torch.allclose(got[k], want, atol=1e-10)


@every
@both
def test_export_keeps_the_values(name: str, backend: str) -> None:
    values = [v.detach() for v in small(name)]

    class Module(torch.nn.Module):
        def forward(self, *args: torch.Tensor) -> torch.Tensor:
            return op(name, backend)(*args)

    program = torch.export.export(Module(), tuple(values))
    assert torch.allclose(program.module()(*values), op(name, backend)(*values))


@pytest.mark.parametrize("name", ["softmax", "layernorm", "softmax_cross_entropy"])
@both
def test_compile_in_one_graph(name: str, backend: str) -> None:
    """Forward and backward under torch.compile without a graph break; the eager backend keeps this independent of compilers."""
    values = small(name)
    compiled = torch.compile(op(name, backend), fullgraph=True, backend="aot_eager")
    plain = op(name, backend)(*values)
    found = compiled(*values)
    upstream = torch.randn_like(plain)
    floats = [v for v in values if v.is_floating_point()]
    for got, want in zip(
        torch.autograd.grad(found, floats, upstream), torch.autograd.grad(plain, floats, upstream), strict=True
    ):
        assert torch.allclose(got, want)


@every
@both
def test_no_gradient_is_computed_for_labels_and_constants(name: str, backend: str) -> None:
    values = small(name)
    out = op(name, backend)(*values)
    out.sum().backward()
    for v in values:
        assert v.grad is None or v.is_floating_point()
