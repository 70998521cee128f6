"""Calls without arrays: the precision is that in which the numbers meet, where one of Python's own goes with any other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from tests.native_ops import COMPILER, Native, compiled, plainly

pytestmark = pytest.mark.skipif(COMPILER is None, reason="needs a C compiler")

half, single, double = np.float16, np.float32, np.float64


@pytest.fixture(scope="module")
def op() -> Iterator[Native]:
    with plainly():
        yield compiled(["y = of_numbers(a, b)\ny = a*exp(b)"])[0]


@pytest.mark.parametrize(
    ("a", "b", "dtype"),
    [
        (single(2), single(1), single),
        (np.array(2, single), 1.0, single),
        (2, np.array(1, single), single),
        (single(2), double(1), double),
        (np.array(2.0), single(1), double),
        (double(2), 1, double),
        (2.0, 1, double),
        (half(2), half(1), half),
        (half(2), single(1), single),
    ],
)
def test_numbers_keep_their_precision(op: Native, a: Any, b: Any, dtype: Any) -> None:
    for _ in range(2):  # the first call is made in Python, the second one in C
        outputs, saved = op.forward({"a": a, "b": b})
        assert outputs["y"].dtype == dtype
        np.testing.assert_allclose(outputs["y"], 2 * np.exp(1.0), rtol=4 * float(np.finfo(dtype).eps))
        kept = single if dtype is half else dtype  # what is saved is no less precise than the computation
        assert {s.dtype for s in saved.values()} == {np.dtype(kept)}
        gradients = op.backward({"a": a, "b": b, "dy": dtype(1), **outputs, **{k: dtype(v) for k, v in saved.items()}})
        assert {g.dtype for g in gradients.values()} == {np.dtype(dtype)}
        both = op.forward_backward({"a": a, "b": b, "dy": 1.0})
        own = {"y": dtype, "da": half if isinstance(a, half) else dtype, "db": dtype}  # in half precision, the input's own
        assert {n: r.dtype for n, r in both.items()} == {n: np.dtype(kind) for n, kind in own.items()}


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_so_do_tensors_without_axes(op: Native, dtype: torch.dtype) -> None:
    found = op.forward_backward({n: torch.tensor(1.0, dtype=dtype) for n in ("a", "b", "dy")})
    assert {t.dtype for t in found.values()} == {dtype}


@pytest.mark.parametrize("value", [None, "x"])
def test_what_is_no_number_of_these_is_refused_by_name(op: Native, value: Any) -> None:
    for _ in range(2):
        with pytest.raises(TypeError, match=r"^a "):
            op.forward({"a": value, "b": 1.0})
