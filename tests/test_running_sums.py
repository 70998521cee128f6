"""Running sums and products in C: one pass over an axis, forward or backward, equal to torch's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from codegen.backends.discovery import by_name
from codegen.backends.native.machine import scheduled
from codegen.loops.assignment import Fold, RunningSum
from codegen.loops.loop import assignments_in
from tests.judged import judge, kernel, module, normal

LAST = """
    y[n, i] = last(x[n, i], w[n])
    y[n, i] = w[n]*sum[j](where(j <= i, x[n, j]**2, 0)) + x[n, i]
"""
FIRST = """
    y[i, d] = first(x[i, d], w[d])
    y[i, d] = sum[j](where(j <= i, x[j, d]*w[d], 0))
"""
MIDDLE = """
    y[n, i, d] = middle(x[n, i, d], w[n, i])
    y[n, i, d] = sum[j](where(j >= i, x[n, j, d]*w[n, j], 0))
"""
ALONE = """
    y[i] = alone(x[i], A[i, k])
    y[i] = sum[j, k](where(i <= j, x[j]*A[j, k], 0))
"""


PLAIN = """
    y[n, i] = plain(x[n, i])
    y[n, i] = sum[j](where(j <= i, x[n, j], 0))
"""


def last(x: Any, w: Any) -> Any:
    return w[:, None] * (x**2).cumsum(1) + x


def first(x: Any, w: Any) -> Any:
    return (x * w).cumsum(0)


def middle(x: Any, w: Any) -> Any:
    return (x * w[:, :, None]).flip(1).cumsum(1).flip(1)


def plain(x: Any) -> Any:
    return x.cumsum(1)


def alone(x: Any, A: Any) -> Any:
    return (x * A.sum(1)).flip(0).cumsum(0).flip(0)


OPS: dict[str, tuple[str, Any, Any]] = {
    "last": (LAST, last, lambda n, i, d: [(n, i), (n,)]),
    "first": (FIRST, first, lambda n, i, d: [(i, d), (d,)]),
    "middle": (MIDDLE, middle, lambda n, i, d: [(n, i, d), (n, i)]),
    "alone": (ALONE, alone, lambda n, i, d: [(i,), (i, d)]),
    "plain": (PLAIN, plain, lambda n, i, d: [(n, i)]),
}
#: Lengths below and above what is computed at once, that four does and does not divide, and empty axes.
SIZES = [(2, 7, 3), (1, 1, 1), (3, 4101, 2), (2, 3, 2050), (2, 0, 3), (0, 3, 2), (2, 3, 0)]


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("op", OPS)
def test_running_sums_equal_torch(op: str, size: tuple[int, int, int]) -> None:
    text, reference, shapes = OPS[op]
    judge(text, "native", reference, normal(*shapes(*size)))


@pytest.mark.parametrize("op", OPS)
def test_forward_and_backward_are_one_pass(op: str) -> None:
    made = kernel(OPS[op][0])
    falling = list[bool]()
    for program in (made.forward, made.backward):
        found = [f for f, _ in assignments_in(scheduled(program).body)]
        falling += [f.kind.falling for f in found if isinstance(f.kind, RunningSum)]
    assert list(dict.fromkeys(falling)) == [op in ("middle", "alone"), op not in ("middle", "alone")]


def test_totals_are_in_double_precision() -> None:
    x = np.full((1, 3_000_001), 0.1, np.float32)
    y = module(LAST, "native").last_forward(x, np.ones(1, np.float32))[0]
    y = y[0] if isinstance(y, tuple) else y
    exact = np.cumsum(x.astype(np.float64) ** 2) + x[0]
    assert np.abs(np.ravel(y) / exact - 1).max() < 2e-7


def test_rows_that_lie_apart() -> None:
    (wide,) = normal((3, 18))
    x, w = wide[:, ::2], torch.ones(3, dtype=torch.float64)
    judge(LAST, "native", last, [x, w])


def test_infinities_stay_apart() -> None:
    x = np.array([[1.0, np.inf, 2.0, -np.inf, 1.0]])[:, :, None]
    y = module(MIDDLE, "native").middle_forward(x, np.ones((1, 5)))
    y = y[0] if isinstance(y, tuple) else y
    with np.errstate(invalid="ignore"):
        assert np.array_equal(np.ravel(y), np.cumsum(x[0, ::-1, 0])[::-1], equal_nan=True)


@pytest.mark.parametrize("length", [1, 7, 8, 9, 16, 31])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_sums_of_elements_in_registers(length: int, dtype: torch.dtype) -> None:
    """Infinities and NaN reach what is behind them, and nothing else, in both directions."""
    made = module(PLAIN, "native")
    for special in (1.0, np.inf, np.nan):
        for at in range(length):
            (x,) = normal((2, length), seed=at, dtype=dtype)
            x[1, at] = special
            y, dx = made.plain_forward(x.numpy()), made.plain_backward(x.numpy())
            wanted = x.double().cumsum(1), x.double().flip(1).cumsum(1).flip(1)
            for found, exact in zip((y[0] if isinstance(y, tuple) else y, dx), wanted, strict=True):
                torch.testing.assert_close(torch.from_numpy(found), exact.to(dtype), equal_nan=True)


def test_sums_of_elements_of_rows_that_lie_apart() -> None:
    (wide,) = normal((3, 2, 18))
    judge(PLAIN, "native", plain, [wide[:, 0]])


BEFORE = """
    y[n, i] = before(x[n, i], w[n])
    y[n, i] = w[n]*sum[j](where(j < i, x[n, j]**2, 0))
"""
BEHIND = """
    y[i, d] = behind(x[i, d], w[d])
    y[i, d] = sum[j](where(j > i, x[j, d]*w[d], 0))
"""
PRODUCTS = """
    y[n, i] = products(x[n, i])
    y[n, i] = prod[j](where(j <= i, x[n, j], 1))
"""
WHOLE = """
    y[n] = whole(x[n, i])
    y[n] = prod[i](x[n, i])
"""
FIRST_AXIS = """
    y[d] = first_axis(x[i, d], w[d])
    y[d] = prod[i](x[i, d]*w[d])
"""


def shifted(x: Any, dim: int) -> Any:
    return torch.cat([torch.zeros_like(x.narrow(dim, 0, 1)), x.narrow(dim, 0, x.shape[dim] - 1)], dim) if x.shape[dim] else x


GENERAL: dict[str, tuple[str, Any, Any]] = {
    "before": (BEFORE, lambda x, w: w[:, None] * shifted((x**2).cumsum(1), 1), lambda n, i: [(n, i), (n,)]),
    "behind": (BEHIND, lambda x, w: shifted((x * w).flip(0).cumsum(0), 0).flip(0), lambda n, i: [(i, n), (n,)]),
    "products": (PRODUCTS, lambda x: x.cumprod(1), lambda n, i: [(n, i)]),
    "whole": (WHOLE, lambda x: x.prod(1), lambda n, i: [(n, i)]),
    "first axis": (FIRST_AXIS, lambda x, w: (x * w).prod(0), lambda n, i: [(i, n), (n,)]),
}


@pytest.mark.parametrize("zeros", [0, 1, 2])
@pytest.mark.parametrize("size", [(3, 1), (3, 9), (2050, 3), (2, 0), (0, 3)], ids=str)
@pytest.mark.parametrize("op", GENERAL)
def test_strict_sums_and_products_equal_torch(op: str, size: tuple[int, int], zeros: int) -> None:
    text, reference, shapes = GENERAL[op]
    inputs = normal(*shapes(*size))
    axis = shapes(2, 9)[0].index(9)
    for at in range(min(zeros, size[1])):
        inputs[0].select(axis, at).fill_(0)
    judge(text, "native", reference, inputs)


def test_the_gradient_of_a_product_reads_each_factor_a_few_times() -> None:
    """No loop runs over pairs of positions."""
    for text in (WHOLE, FIRST_AXIS):
        program = kernel(text).backward
        assert all(len(f.loops) < 3 for f, _ in assignments_in(scheduled(program).body))
        kinds = [f.kind for f, _ in assignments_in(scheduled(program).body) if isinstance(f.kind, RunningSum)]
        assert [(k.fold, k.strict) for k in kinds] == [(Fold.PROD, True)] * 2
        assert {k.falling for k in kinds} == {False, True}


def test_a_product_meets_nan_and_infinity_where_torch_does() -> None:
    x = np.array([[2.0, np.nan, 3.0], [np.inf, 2.0, 0.5], [0.0, np.inf, 2.0]])
    made = module(PRODUCTS, "native").products_forward(x)
    y = made[0] if isinstance(made, tuple) else made
    assert np.array_equal(y, torch.from_numpy(x).cumprod(1).numpy(), equal_nan=True)


def test_the_emitted_loop_adds_once() -> None:
    text = "\n".join(by_name("native").files(kernel(LAST), "").values())
    assert "running_sum(" in text
    assert "j <= i ?" not in text
