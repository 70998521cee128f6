"""Convolutions in C are matrix products of what windows see, forward and both gradients, and equal torch's."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from codegen.backends.native.machine import scheduled
from codegen.loops.assignment import WindowProduct
from codegen.loops.loop import assignments_in
from tests.judged import judge, kernel, module, normal

CONV2D = """
    y[n, o, i, j] = conv(x[n, c, h, w], W[o, c, p, q], stride=1, pad=0, dilation=1)
    size(i) = (size(h) + 2*pad - dilation*(size(p) - 1) - 1)//stride + 1
    size(j) = (size(w) + 2*pad - dilation*(size(q) - 1) - 1)//stride + 1
    y[n, o, i, j] = sum[c, p, q](x[n, c, i*stride + p*dilation - pad, j*stride + q*dilation - pad]*W[o, c, p, q])
"""
GROUPED = """
    y[n, g, o, i] = grouped(x[n, g, c, l], W[g, o, c, k], pad=1)
    size(i) = size(l) + 2*pad - size(k) + 1
    y[n, g, o, i] = sum[c, k](x[n, g, c, i + k - pad]*W[g, o, c, k])
"""


def conv(x: Any, W: Any, stride: float, pad: float, dilation: float) -> Any:
    return functional.conv2d(x, W, stride=int(stride), padding=int(pad), dilation=int(dilation))


def grouped(x: Any, W: Any, pad: float) -> Any:
    n, g, _, l = x.shape
    y = functional.conv1d(x.reshape(n, -1, l), W.reshape(-1, *W.shape[2:]), padding=int(pad), groups=g)
    return y.reshape(n, g, W.shape[1], -1)


#: Shapes of x and W, then stride, padding and dilation: windows as large as the axis, more than a panel of positions, length 1.
CASES: list[tuple[tuple[int, ...], tuple[int, ...], int, int, int]] = [
    ((2, 3, 7, 6), (4, 3, 3, 3), 1, 1, 1),
    ((1, 2, 9, 8), (3, 2, 3, 2), 2, 1, 1),
    ((2, 2, 11, 131), (5, 2, 2, 3), 1, 2, 2),
    ((1, 3, 5, 300), (9, 3, 5, 4), 3, 4, 1),
    ((1, 1, 3, 4), (1, 1, 3, 4), 1, 0, 1),
    ((1, 1, 1, 1), (1, 1, 1, 1), 1, 3, 1),
    ((0, 3, 5, 5), (2, 3, 3, 3), 1, 1, 1),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_convolutions_equal_torch(case: tuple[tuple[int, ...], tuple[int, ...], int, int, int]) -> None:
    x, W, stride, pad, dilation = case
    judge(CONV2D, "native", conv, normal(x, W), stride=stride, pad=pad, dilation=dilation)


def test_strided_images_equal_torch() -> None:
    x, W = normal((2, 6, 9, 7), (4, 3, 3, 3))
    judge(CONV2D, "native", conv, [x[:, ::2], W.flip(0)], stride=2, pad=1, dilation=1)


@pytest.mark.parametrize("length", [1, 5, 70])
def test_groups_equal_torch(length: int) -> None:
    judge(GROUPED, "native", grouped, normal((2, 3, 2, length), (3, 4, 2, 3)))


@pytest.mark.parametrize("op", [CONV2D, GROUPED], ids=["2d", "groups"])
def test_forward_and_both_gradients_are_matrix_products(op: str) -> None:
    made = kernel(op)
    found = [f for p in (made.forward, made.backward) for f, _ in assignments_in(scheduled(p).body)]
    assert sorted(f.name for f in found if isinstance(f.kind, WindowProduct)) == ["dW", "dx", "y"]


def test_a_nan_reaches_what_its_windows_see() -> None:
    x, W = (t.numpy() for t in normal((1, 1, 9, 9), (1, 1, 3, 3)))
    x = x.copy()
    x[0, 0, 4, 4] = math.nan
    y = module(CONV2D, "native").conv_forward(x, W, 1, 1, 1)[0]
    wanted = functional.conv2d(torch.from_numpy(x), torch.from_numpy(W), padding=1).numpy()
    assert np.array_equal(np.isnan(y), np.isnan(wanted[0]) if y.ndim == 3 else np.isnan(wanted))
