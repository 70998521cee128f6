"""The torch kernels on a graphics card: what they give there is what they give on the processor, and it stays there.

Skipped where torch finds no card. ``tests/test_jax.py`` runs on whatever JAX finds.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch

from tests import kernels, test_array_kinds, test_numbers_in_kernels, test_stars
from tests.judged import kernel, module, normal
from tests.long import CORE

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no graphics card that torch can use")
#: What two orders of summation may differ by, of the largest entry.
NEAR = {torch.float64: 1e-11, torch.float32: 1e-4, torch.float16: 4e-3, torch.bfloat16: 3e-2}


def op_of(name: str) -> Callable[..., Any]:
    return getattr(importlib.import_module(f"generated.torch.{name}"), name)


def derivatives(op: Callable[..., Any], given: Sequence[torch.Tensor], device: str, **constants: float) -> list[torch.Tensor]:
    """Outputs, gradients, and the gradients of their sum of squares, which is a second derivative."""
    leaves = [v.detach().to(device).requires_grad_(v.is_floating_point()) for v in given]
    outputs = op(*leaves, **constants)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    wanted = [v for v in leaves if v.requires_grad]
    moving = [y for y in outputs if y.requires_grad]
    if not moving or not wanted:
        return list(outputs)
    generator = torch.Generator().manual_seed(3)
    upstream = [torch.randn(y.shape, generator=generator, dtype=torch.float64).to(y) for y in moving]
    first = torch.autograd.grad(moving, wanted, upstream, create_graph=True, allow_unused=True)
    squares = [(g.double() ** 2).sum() for g in first if g is not None and g.requires_grad]
    second = torch.autograd.grad(squares, wanted, allow_unused=True) if squares else ()
    return [*outputs, *(g for g in (*first, *second) if g is not None)]


def assert_same(op: Callable[..., Any], given: Sequence[torch.Tensor], **constants: float) -> None:
    on_card, here = derivatives(op, given, "cuda", **constants), derivatives(op, given, "cpu", **constants)
    assert len(on_card) == len(here)
    for found, wanted in zip(on_card, here, strict=True):
        assert found.device.type == "cuda" and found.dtype == wanted.dtype and found.shape == wanted.shape
        size = float(wanted.detach().double().abs().nan_to_num(posinf=0).max()) if wanted.numel() else 0.0
        torch.testing.assert_close(
            found.detach().cpu().double(),
            wanted.detach().double(),
            rtol=0,
            atol=NEAR[wanted.dtype] * max(size, 1),
            equal_nan=True,
        )


@pytest.mark.parametrize("dtype", NEAR, ids=str)
@pytest.mark.parametrize("name", kernels.OPS)
def test_the_catalogue(name: str, dtype: torch.dtype) -> None:
    for seed in range(3):
        values = kernels.inputs(name, np.random.default_rng(seed), dtype=dtype, scale=0.5)
        assert_same(op_of(name), list(values.values()), **kernels.constants(name))


@pytest.mark.parametrize("name", [n for n in CORE if n != "makemore"])
def test_compiled_for_the_card(name: str) -> None:
    values = kernels.inputs(name, np.random.default_rng(5), dtype=torch.float32)
    torch._dynamo.reset()  # each op is traced through the same lines, and the compiler counts how often
    op, constants = op_of(name), kernels.constants(name)
    given = [v.cuda().requires_grad_(v.is_floating_point()) for v in values.values()]
    plain, fast = op(*given, **constants), torch.compile(lambda *v: op(*v, **constants), fullgraph=True)(*given)
    torch.testing.assert_close(fast, plain, rtol=1e-4, atol=1e-4)
    wanted = [v for v in given if v.requires_grad]
    pairs = zip(*(torch.autograd.grad(y.square().sum(), wanted) for y in (fast, plain)), strict=True)
    for found, expected in pairs:
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3 * max(1.0, float(expected.abs().max())))


SYSTEMS = {n: (s.text, s.shapes) for n, s in test_array_kinds.SYSTEMS.items()}
SYSTEMS |= {f"{n} *s": (s.text, s.shapes((3, 2))) for n, s in test_stars.SYSTEMS.items()}


@pytest.mark.parametrize("name", SYSTEMS)
def test_whatever_one_writes(name: str) -> None:
    text, shapes = SYSTEMS[name]
    op, given = kernel(text).op, normal(*shapes)
    labels = [torch.randint(0, 2, v.shape) if t.labels else v / 2 for t, v in zip(op.inputs, given, strict=True)]
    assert_same(getattr(module(text, "torch"), op.name), labels)


def test_numbers_and_scalars() -> None:
    assert_same(module(test_numbers_in_kernels.SCALARS, "torch").f, normal((), ()), k=0.3)
