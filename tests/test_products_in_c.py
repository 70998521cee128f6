"""Matrix products in C: blocks of the inner axis and of the columns, operands that lie the other way, and what is left over."""

from __future__ import annotations

import numpy as np
import pytest

from tests.judged import module
from tests.native_ops import COMPILER

pytestmark = pytest.mark.skipif(COMPILER is None, reason="no C compiler")

LEFT, RIGHT = {"plain": "a[i, k]", "turned": "a[k, i]"}, {"plain": "b[k, j]", "turned": "b[j, k]"}
LENGTHS = [(1, 1, 1), (7, 130, 257), (13, 300, 255), (29, 63, 513), (101, 129, 256), (5, 4, 0), (0, 3, 5), (3, 0, 300)]


@pytest.mark.parametrize("right", RIGHT)
@pytest.mark.parametrize("left", LEFT)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_products_equal_numpys(dtype: type, left: str, right: str) -> None:
    product = module(f"y[i, j] = sum[k]({LEFT[left]}*{RIGHT[right]})", "native").y_forward
    rng = np.random.default_rng(0)
    for i, j, k in LENGTHS:
        # Whole numbers: every order of summation gives the same, exactly.
        a, b = (rng.integers(-8, 9, shape).astype(dtype) for shape in ((i, k), (k, j)))
        found, _ = product(a.T.copy() if left == "turned" else a, b.T.copy() if right == "turned" else b)
        np.testing.assert_array_equal(found, a @ b, err_msg=f"{i} x {j} x {k}")


def test_a_sum_that_is_not_a_number_stays_in_its_element() -> None:
    product = module("y[i, j] = sum[k](a[i, k]*b[k, j])", "native").y_forward
    a, b = np.ones((5, 600)), np.ones((600, 70))
    a[2, 599], b[3, 69] = np.nan, np.inf
    found, _ = product(a, b)
    assert np.isnan(found[2]).all() and np.isinf(found[[0, 1, 3, 4], 69]).all()
    assert (np.delete(found, 2, 0)[:, :69] == 600).all()
