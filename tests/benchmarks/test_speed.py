"""How long a derivation takes, and each backward kernel beside torch's own op on the same input.

Run with ``make bench``. Timings are shown side by side, never asserted.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import derive
from tests import kernels
from tests.kernels import OPS

SHAPES: dict[str, dict[str, int]] = {
    "attention": {"s": 8, "i": 256, "j": 256, "f": 64, "d": 64},
    "matmul": {"s": 1, "n": 512, "k": 512, "m": 512},
    "embedding": {"s": 4096, "v": 1000, "d": 64},
    "batchnorm": {"n": 1024, "d": 256, "s": 1},
    "mlp": {"n": 32, "b": 3, "e": 10, "h": 200, "v": 27},
    "makemore": {"n": 32, "b": 3, "e": 10, "u": 200, "v": 27},
}


def sample(name: str) -> dict[str, torch.Tensor]:
    op, rng = kernels.kernel(name).op, np.random.default_rng(0)
    size = SHAPES.get(name, {})
    out = {}
    for t in op.inputs:
        shape = [size.get(a, 512) for a in t.axes]
        if t.labels:
            out[t.name] = torch.from_numpy(rng.integers(0, size.get(t.labels, 512), shape))
        else:
            out[t.name] = torch.from_numpy(rng.normal(size=shape)).float()
    return out


@pytest.mark.parametrize("name", OPS)
def test_derivation(benchmark: Any, name: str) -> None:
    op = derive.load(name)
    benchmark(derive.derive, op)


@pytest.mark.parametrize("side", ["torch's own", "numpy", "torch"])
@pytest.mark.parametrize("name", OPS)
def test_backward(benchmark: Any, name: str, side: str) -> None:
    """float32; grouped by op, so that the table's ratios are those of one input."""
    benchmark.group = name
    values, given = sample(name), kernels.constants(name)
    output, upstream, _ = kernels.expected(name, values, None, given)
    if side == "torch's own":
        leaves = {n: v.clone().requires_grad_(v.is_floating_point()) for n, v in values.items()}
        out = kernels.reference(name)(leaves, given)
        wanted = [leaves[t.name] for t in kernels.kernel(name).op.differentiable]
        benchmark(torch.autograd.grad, out, wanted, upstream, retain_graph=True, allow_unused=True)
        return
    benchmark(kernels.prepared_backward(name, side, values, upstream, given))
