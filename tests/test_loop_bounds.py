"""Conditions on indices bound loops in C: no loop tests them, and what they leave out is not computed, not even a NaN."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from codegen.backends.discovery import by_name
from codegen.backends.native.machine import scheduled
from codegen.loops.assignment import MatrixProduct
from codegen.loops.loop import assignments_in
from derive import syntax as st
from derive.syntax import on_indices
from tests.judged import judge, kernel, module, normal

BANDED = """
    o[i, d] = banded(q[i, f], k[j, f], v[j, d], window=3)
    s[i, j] = sum[f](q[i, f]*k[j, f])
    a[i, j] = where(j <= i, where(i - j < window, exp(s[i, j]), 0), 0)
    o[i, d] = sum[j](a[i, j]*v[j, d])/(1 + sum[j](a[i, j]))
"""
#: The rows stand in the sums themselves: between rows and terms of the first product, columns and terms of the second.
PRODUCTS = """
    y[i, d] = products(A[i, j], B[j, d], C[e, d])
    u[i, d] = sum[j](where(j >= i - 3, A[i, j]*B[j, d], 0))
    y[i, d] = u[i, d] + sum[e](where(e < d + 2, where(d <= 2 + e, A[i, e]*C[e, d], 0), 0))
    size(j) = size(e)
"""
SOFTMAX = """
    y[i] = softmax(x[i, j], v[j])
    a[i, j] = where(j <= i, exp(x[i, j]), 0)
    y[i] = sum[j](a[i, j]*v[j])/sum[j](a[i, j])
"""
RESULT = """
    y[n, i, j] = result(x[n, i, j], u[n, i], window=2)
    y[n, i, j] = where(j <= i, where(i - j < window, x[n, i, j]*u[n, i], -1), exp(x[n, i, j]))
"""
SHIFTED = """
    y[i] = shifted(x[j], u[i, j])
    y[i] = sum[j](where(2*i - j <= 3, x[j]*u[i, j], 0)) + sum[j](where(j - 2*i <= size(j) - 4, x[j]**2, 0))
"""


def banded(q: Any, k: Any, v: Any, window: float) -> Any:
    behind = torch.arange(len(q))[:, None] - torch.arange(len(k))
    a = torch.where((behind >= 0) & (behind < window), torch.exp(q @ k.T), 0)
    return a @ v / (1 + a.sum(1, keepdim=True))


def products(A: Any, B: Any, C: Any) -> Any:
    i, e, d = (torch.arange(n) for n in (A.shape[0], A.shape[1], B.shape[1]))
    near = (e[:, None] < d + 2) & (d <= 2 + e[:, None])
    return torch.where(e >= i[:, None] - 3, A, 0) @ B + A @ torch.where(near, C, 0)


def softmax(x: Any, v: Any) -> Any:
    allowed = torch.ones(x.shape, dtype=torch.bool).tril()
    return torch.softmax(torch.where(allowed, x, -math.inf), dim=1) @ v


def result(x: Any, u: Any, window: float) -> Any:
    behind = torch.arange(x.shape[1])[:, None] - torch.arange(x.shape[2])
    return torch.where(behind >= 0, torch.where(behind < window, x * u[:, :, None], -1), torch.exp(x))


def shifted(x: Any, u: Any) -> Any:
    i, j = torch.arange(u.shape[0])[:, None], torch.arange(u.shape[1])
    return torch.where(2 * i - j <= 3, x * u, 0).sum(1) + torch.where(j - 2 * i <= len(x) - 4, x**2, 0).sum(1)


Case = tuple[str, Callable[..., Any]]
OPS: dict[str, Case] = {
    "banded": (BANDED, banded),
    "products": (PRODUCTS, products),
    "softmax": (SOFTMAX, softmax),
    "result": (RESULT, result),
    "shifted": (SHIFTED, shifted),
}
#: Lengths around those of a tile's rows and of a panel's columns, more rows than columns and fewer, and axes of length 1.
SIZES = [(5, 6, 3), (6, 5, 2), (1, 1, 1), (1, 9, 4), (19, 17, 70), (70, 131, 5), (131, 70, 9)]


def inputs(op: str, i: int, j: int, d: int) -> list[torch.Tensor]:
    shapes: dict[str, list[tuple[int, ...]]] = {
        "banded": [(i, 4), (j, 4), (j, d)],
        "products": [(i, j), (j, d), (j, d)],
        "softmax": [(i, j), (j,)],
        "result": [(2, i, j), (2, i)],
        "shifted": [(j,), (i, j)],
    }
    return [t / 4 for t in normal(*shapes[op])]


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("op", OPS)
def test_bounded_loops_equal_torch(op: str, size: tuple[int, int, int]) -> None:
    judge(OPS[op][0], "native", OPS[op][1], inputs(op, *size))


@pytest.mark.parametrize("window", [0, 1, 2.5, 40, math.inf, -3])
def test_a_window_of_any_width(window: float) -> None:
    """A window need not be a whole number, may be empty, and may be wider than the axis."""
    judge(BANDED, "native", banded, inputs("banded", 19, 17, 3), window=window)
    judge(RESULT, "native", result, inputs("result", 7, 9, 1), window=window)


def test_empty_axes() -> None:
    judge(BANDED, "native", banded, normal((3, 4), (0, 4), (0, 2)))
    judge(RESULT, "native", result, normal((2, 0, 3), (2, 0)))


@pytest.mark.parametrize("op", OPS)
def test_no_loop_tests_a_bound(op: str) -> None:
    """No statement in a loop nest has a condition on indices; rows with a multiple of the inner index cannot bound it."""
    for program in (kernel(OPS[op][0]).forward, kernel(OPS[op][0]).backward):
        for f, _ in assignments_in(scheduled(program).body):
            tests = [n for n in st.walk(f.body) if on_indices(n)]
            assert not tests or "2*i" in OPS[op][0], (f.name, f.body)
        found = [f for f, _ in assignments_in(scheduled(program).body)]
        assert any(f.rows for f in found)


def test_both_products_of_a_triangle_have_bands() -> None:
    found = [f for f, _ in assignments_in(scheduled(kernel(PRODUCTS).forward).body) if isinstance(f.kind, MatrixProduct)]
    assert [len(f.rows) for f in found] == [1, 2]


def test_what_a_row_leaves_out_may_be_nan() -> None:
    A, B, C = (t.numpy() for t in normal((19, 19), (19, 70), (19, 70)))
    e, d = np.arange(19)[:, None], np.arange(70)
    outside = np.where((e < d + 2) & (d <= 2 + e), C, math.nan)
    found, wanted = (module(PRODUCTS, "native").products_forward(A, B, c)[0] for c in (outside, C))
    assert np.array_equal(found, wanted)


def test_a_loop_ends_where_its_row_does() -> None:
    text = "\n".join(by_name("native").files(kernel(BANDED), "").values())
    assert "for (int64_t j = largest(floored(i - window) + 1, 0); j < smallest(size_j, i + 1); ++j)" in text
    assert "j <= i ?" not in text
