"""Every op of the catalogue, in every backend, beside torch's own: what `make test` asks of all, and the grids ask of the core.

`make derive` certifies each op and compares its kernels with the equations at 50 digits.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

from codegen.verify.agreement import constants_of
from derive.ops import group, load, names, source
from tests import kernels
from tests.backends import parameters
from tests.long import BEYOND

#: What may be compared: sizes of the axes and numbers of axes behind ``*s``, with an axis of length 1 and a star of none.
SHAPES = ({"low": 2, "high": 5, "star": 1}, {"low": 1, "high": 4, "star": 2}, {"low": 1, "high": 3, "star": 0})
BACKENDS = parameters(["numpy", "torch", "native"])


@cache
def given(name: str, number: int) -> tuple[Any, ...]:
    """Inputs of an op at one of the shapes, its constants, torch's outputs, gradients of them, and the inputs' gradients."""
    values = kernels.inputs(name, np.random.default_rng(number), **SHAPES[number])
    constants = kernels.constants(name)
    return values, constants, *kernels.every_expected(name, values, None, constants)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", BEYOND)
def test_values_and_gradients_are_those_of_torch(name: str, backend: str) -> None:
    for number in range(len(SHAPES)):
        values, constants, outputs, upstreams, gradients = given(name, number)
        found, computed = kernels.every_run(name, backend, values, upstreams, constants)
        for got, want in zip(found, outputs, strict=True):
            torch.testing.assert_close(got, want, rtol=1e-10, atol=1e-12)
        largest = max((float(u.abs().max()) for u in upstreams if u.numel()), default=0.0)
        for got, want in zip(computed, gradients, strict=True):
            torch.testing.assert_close(got, want, rtol=1e-9, atol=1e-9 * largest)


@pytest.mark.parametrize("name", BEYOND)
def test_second_derivatives_are_those_of_torch(name: str) -> None:
    """The gradient of a random projection of the gradients, by the differentiable op and by torch's own."""
    values, constants, _, upstreams, _ = given(name, 0)
    op = kernels.kernel(name).op
    own = getattr(kernels.module(name, "torch"), name)

    def twice(function: Callable[..., Any]) -> list[torch.Tensor]:
        leaves = {n: v.detach().clone().requires_grad_(v.is_floating_point()) for n, v in values.items()}
        wanted = [leaves[t.name] for t in op.differentiable]
        unused = {"allow_unused": True, "materialize_grads": True}
        first = torch.autograd.grad(kernels.tupled(function(leaves)), wanted, upstreams, create_graph=True, **unused)
        rng = np.random.default_rng(5)
        projected = sum((g * torch.from_numpy(np.asarray(rng.normal(size=tuple(g.shape))))).sum() for g in first)
        if not projected.requires_grad:
            return [torch.zeros_like(w) for w in wanted]
        return list(torch.autograd.grad(projected, wanted, **unused))

    found = twice(lambda leaves: own(*leaves.values(), **constants_of(op)))
    wanted = twice(lambda leaves: kernels.reference(name)(leaves, constants))
    for got, want in zip(found, wanted, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("name", names())
def test_an_op_says_what_it_is_and_where_it_comes_from(name: str) -> None:
    op = load(name)
    assert op.title.endswith(".") or "\n\n" in op.title
    assert op.source and group(name) and source(name)[0].strip() == op.text.strip()
