"""Long axes: what a loop over one axis reads beside its own elements, where it is cut into chunks that threads share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from tests.native_ops import COMPILER, Native, compiled, plainly

pytestmark = pytest.mark.skipif(COMPILER is None, reason="needs a C compiler")

Array = np.ndarray[Any, Any]
LONG = 5000
#: Each op with the same in NumPy: its output, and the gradients for an upstream gradient.
CASES: dict[str, Callable[..., tuple[Array, ...]]] = {
    "y[n] = beside_one(x[n], t)\nt in n\ny[n] = x[n]*x[t]": lambda x, t, dy: (
        x * x[t],
        dy * x[t] + (dy @ x) * (np.arange(len(x)) == t),
    ),
    "y[n] = looked_up(x[n], t[n])\nt[n] in n\ny[n] = x[n]*x[t[n]]": lambda x, t, dy: (
        x * x[t],
        dy * x[t] + np.bincount(t, dy * x, len(x)),
    ),
    "y = of_a_pair(x[n], t)\nt in n\ny = sum[n](x[n])**2 + x[t]**3": lambda x, t, dy: (
        x.sum() ** 2 + x[t] ** 3,
        dy * (2 * x.sum() + 3 * x[t] ** 2 * (np.arange(len(x)) == t)),
    ),
}


@pytest.fixture(scope="module")
def ops() -> Iterator[dict[str, Native]]:
    with plainly():
        yield dict(zip(CASES, compiled(list(CASES), (64,)), strict=True))


@pytest.mark.parametrize("text", CASES)
def test_elements_beside_those_of_the_loop_are_the_right_ones(ops: dict[str, Native], text: str) -> None:
    op, rng = ops[text], np.random.default_rng(5)
    x = rng.normal(size=LONG)
    t = rng.integers(0, LONG, LONG) if "t[n]" in text else np.array(LONG - 2)
    dy = rng.normal(size=LONG) if "y[n]" in text else np.float64(0.75)
    want = CASES[text](x, t, dy)
    outputs, saved = op.forward({"x": x, "t": t})
    (gradient,) = op.backward({"x": x, "t": t, "dy": dy, **outputs, **saved}).values()
    both = op.forward_backward({"x": x, "t": t, "dy": dy}).values()
    for found, expected in zip([*outputs.values(), gradient, *both], [*want, *want], strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
