"""Cumulative sums: recognised by their row, and equal to torch's own in every backend, forward and backward."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from codegen.backends.arrays.backend import ArrayBackend
from codegen.backends.discovery import by_name
from tests.backends import each_array_backend
from tests.judged import judge, kernel, normal

RISING = """
    y[n, i] = rising(x[n, i])
    y[n, i] = sum[j](where(j <= i, x[n, j]**2, 0))
"""
FALLING = """
    y[i, n] = falling(x[i, n], w[i])
    y[i, n] = w[i]*sum[j](where(j >= i, x[j, n]**3, 0))
"""
BOTH = """
    y[i] = both(x[i, n])
    y[i] = sum[j, n](where(j <= i, 1 + x[j, n]**2, 0))/sum[j, n](where(i <= j, 1 + x[j, n]**2, 0))
"""
#: These are none: the terms have both indices, the row is strict, or the axes differ in length.
OTHERS = {
    "both indices": "y[i] = f(x[i], w[i])\ny[i] = sum[j](where(j <= i, tanh(x[j]*w[i]), 0))",
    "two axes": "y[i] = f(x[j], w[i])\ny[i] = w[i]*sum[j](where(j <= i, x[j], 0))",
    "a band": "y[i] = f(x[i])\ny[i] = sum[j](where(i - j <= 2, x[j], 0))",
}


def from_here(x: torch.Tensor, axis: int) -> torch.Tensor:
    return x.flip(axis).cumsum(axis).flip(axis)


def both(x: Any) -> Any:
    rows = (1 + x**2).sum(1)
    return rows.cumsum(0) / from_here(rows, 0)


Case = tuple[str, Callable[..., Any], list[tuple[int, ...]]]
CASES: dict[str, Case] = {
    "rising": (RISING, lambda x: (x**2).cumsum(1), [(2, 5)]),
    "one position": (RISING, lambda x: (x**2).cumsum(1), [(3, 1)]),
    "no position": (RISING, lambda x: (x**2).cumsum(1), [(3, 0)]),
    "falling": (FALLING, lambda x, w: w[:, None] * from_here(x**3, 0), [(6, 2), (6,)]),
    "both": (BOTH, both, [(5, 3)]),
}


@pytest.mark.parametrize("case", CASES)
@each_array_backend
def test_cumulative_sums_equal_torch(case: str, backend: str) -> None:
    op, reference, shapes = CASES[case]
    judge(op, backend, reference, normal(*shapes))


@pytest.mark.parametrize("op", [RISING, FALLING], ids=["rising", "falling"])
@each_array_backend
def test_a_cumulative_sum_takes_no_mask(op: str, backend: str) -> None:
    assert "arange" not in source(op, backend)


@pytest.mark.parametrize("op", OTHERS.values(), ids=OTHERS)
@each_array_backend
def test_other_sums_under_a_row_are_none(op: str, backend: str) -> None:
    assert "arange" in source(op, backend)


def source(op: str, backend: str) -> str:
    found = by_name(backend)
    assert isinstance(found, ArrayBackend)
    return found.text(kernel(op), "")
