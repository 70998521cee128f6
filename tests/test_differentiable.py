"""The torch ops as torch users meet them: autograd to second order, torch.func, vmap, compile and export."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests import kernels
from tests.kernels import OPS

every = pytest.mark.parametrize("name", OPS)


def op(name: str):
    return getattr(kernels.module(name, "torch"), name)


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
def test_gradcheck(name: str) -> None:
    assert torch.autograd.gradcheck(op(name), small(name))


@every
def test_gradgradcheck(name: str) -> None:
    """Second order: what the forward saves must not cut the graph."""
    assert torch.autograd.gradgradcheck(op(name), small(name), atol=1e-4)


@every
def test_func_grad_and_vmap(name: str) -> None:
    """vmap(grad) over a stack of inputs equals a loop."""
    values = small(name)
    floats = [k for k, v in enumerate(values) if v.is_floating_point()]
    stacked = [torch.stack([v.detach() * (1 + 0.1 * k) if v.is_floating_point() else v for k in range(3)]) for v in values]

    def scalar(*args: torch.Tensor) -> torch.Tensor:
        return (op(name)(*args) ** 2).sum()

    grad = torch.func.grad(scalar, argnums=tuple(floats))
    batched = torch.vmap(grad)(*stacked)
    for k in range(3):
        alone = grad(*(s[k] for s in stacked))
        for got, want in zip(batched, alone, strict=True):
            assert torch.allclose(got[k], want, atol=1e-10)


@every
def test_export_keeps_the_values(name: str) -> None:
    values = [v.detach() for v in small(name)]

    class Module(torch.nn.Module):
        def forward(self, *args: torch.Tensor) -> torch.Tensor:
            return op(name)(*args)

    program = torch.export.export(Module(), tuple(values))
    assert torch.allclose(program.module()(*values), op(name)(*values))


@pytest.mark.parametrize("name", ["softmax", "layernorm", "softmax_cross_entropy"])
def test_compile_in_one_graph(name: str) -> None:
    """Forward and backward under torch.compile without a graph break; the eager backend keeps this independent of compilers."""
    values = small(name)
    compiled = torch.compile(op(name), fullgraph=True, backend="aot_eager")
    plain = op(name)(*values)
    found = compiled(*values)
    upstream = torch.randn_like(plain)
    floats = [v for v in values if v.is_floating_point()]
    for got, want in zip(
        torch.autograd.grad(found, floats, upstream), torch.autograd.grad(plain, floats, upstream), strict=True
    ):
        assert torch.allclose(got, want)


@every
def test_no_gradient_is_computed_for_labels_and_constants(name: str) -> None:
    values = small(name)
    out = op(name)(*values)
    out.sum().backward()
    for v in values:
        assert v.grad is None or v.is_floating_point()
