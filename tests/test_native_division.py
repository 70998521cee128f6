"""Division in C: of the smallest numbers too, whose inverse is no number."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.native_ops import COMPILER, Native, compiled, plainly, units

pytestmark = pytest.mark.skipif(COMPILER is None, reason="needs a C compiler")

#: Divisors that do not have the axis of the innermost loop: a number for each row, one for all, one that is computed.
CASES = {
    "y[n, d] = by_rows(x[n, d], b[n])\ny[n, d] = x[n, d]/b[n]": lambda x, b: x / b[:, None],
    "y[n, d] = by_one(x[n, d], b)\ny[n, d] = x[n, d]/b": lambda x, b: x / b,
    "y[n, d] = by_largest(x[n, d], b[n, c])\ny[n, d] = x[n, d]/max[c](b[n, c])": lambda x, b: x / b.max(1, keepdims=True),
}


@pytest.fixture(scope="module")
def ops() -> Iterator[dict[str, Native]]:
    with plainly():
        yield dict(zip(CASES, compiled(list(CASES)), strict=True))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("text", CASES)
def test_a_quotient_of_the_smallest_numbers_is_one(ops: dict[str, Native], text: str, dtype: Any) -> None:
    op, tiny = ops[text], np.finfo(dtype).smallest_subnormal
    x = np.array([[0, 3, 7, -2, 1000], [1, 0, -5, 2, 6]], dtype) * tiny
    axes = next(t.axes for t in op.kernel.op.inputs if t.name == "b")
    b = np.full([{"n": 2, "c": 3}[a] for a in axes], 4 * tiny)
    want = CASES[text](x.astype(np.longdouble), b.astype(np.longdouble))
    outputs, _ = op.forward({"x": x, "b": b})
    assert units(outputs["y"], want, dtype) == 0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("text", CASES)
def test_a_quotient_is_rounded_once(ops: dict[str, Native], text: str, dtype: Any) -> None:
    op, rng = ops[text], np.random.default_rng(3)
    x = rng.normal(size=(40, 25)).astype(dtype)
    b = np.asarray(rng.normal(size=[{"n": 40, "c": 3}[a] for a in op.kernel.op.inputs[1].axes]) + 5, dtype)
    outputs, _ = op.forward({"x": x, "b": b})
    np.testing.assert_array_equal(outputs["y"], CASES[text](x, b))
