"""Numbers beyond the range of float32 in its kernels: what float64 makes of them, rounded once, and no exception."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from codegen.backends.arrays.discovery import arrays
from codegen.verify.agreement import run_kernel
from tests.backends import each_array_backend
from tests.judged import differentiated, gradients_of, kernel, module

X = [0.0, 1e-30, -1.0, 2.5, 1e30]
Reference = Callable[[torch.Tensor], torch.Tensor]


def number(x: torch.Tensor, value: float) -> torch.Tensor:
    return x.new_full((), value)


CASES: list[tuple[str, Reference]] = [
    ("maximum(x[n], -1e308)", lambda x: torch.maximum(x, number(x, -1e308))),
    ("minimum(x[n], 1e300)", lambda x: torch.minimum(x, number(x, 1e300))),
    ("minimum(1e300, x[n])", lambda x: torch.minimum(x, number(x, 1e300))),
    ("x[n]*1e39", lambda x: x * 1e39),
    ("-1e39*x[n]", lambda x: -1e39 * x),
    ("x[n]*1e-60", lambda x: x * 1e-60),
    ("x[n]/1e-60", lambda x: x / 1e-60),
    ("x[n]/1e60", lambda x: x / 1e60),
    ("x[n]*1e200*1e-200", lambda x: x),
    ("where(x[n] > 1e40, x[n], 2*x[n])", lambda x: torch.where(x > 1e40, x, 2 * x)),
    ("where(x[n] > 0, 1e50, x[n])", lambda x: torch.where(x > 0, number(x, 1e50), x)),
    ("where(x[n] > 0, 1e200, -1e200)", lambda x: torch.where(x > 0, number(x, 1e200), number(x, -1e200)) + 0 * x),
    ("where(x[n] > 0, x[n], 1e-60)", lambda x: torch.where(x > 0, x, number(x, 1e-60))),
    ("x[n] + 1e39", lambda x: x + 1e39),
    ("1e200 + 0*x[n]", lambda x: torch.full_like(x, 1e200) + 0 * x),
    ("tanh(1e300*x[n])", lambda x: torch.tanh(1e300 * x)),
]


def wanted(reference: Reference, upstream: torch.Tensor) -> list[torch.Tensor]:
    """Value and gradient in float64, as float32 has them."""
    x = torch.tensor(X, dtype=torch.float32).double().requires_grad_()
    y = reference(x)
    return [v.detach().float() for v in (y, *gradients_of([y], [x], [upstream.double()]))]


@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
@each_array_backend
@pytest.mark.parametrize(("right", "reference"), CASES, ids=[c[0] for c in CASES])
def test_kernels_in_float32(right: str, reference: Reference, backend: str) -> None:
    made, upstream = kernel(f"y[n] = {right}"), torch.tensor([1.0, -0.5, 2.0, 0.25, 1.0])
    want = wanted(reference, upstream)
    outputs, found = run_kernel(made, module(f"y[n] = {right}", backend), backend, given(), [upstream], {})
    results = [[*outputs, *found]]
    by_itself = differentiated(made, module(f"y[n] = {right}", backend), backend, given(), [upstream], {})
    results += [[outputs[0], *by_itself.values()]] if by_itself else []
    for got in results:
        for value, w in zip(got, want, strict=True):
            assert value.dtype == torch.float32
            np.testing.assert_allclose(value.detach().numpy(), w.numpy(), rtol=1e-6, atol=1e-44)


def given() -> dict[str, torch.Tensor]:
    return {"x": torch.tensor(X)}


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_a_number_of_the_caller_may_lie_beyond_the_dtype(dtype: torch.dtype) -> None:
    text = "y[n], z = f(x[n], k=2)\ny[n] = maximum(x[n], k)*where(k > 0, 1, 2)\nz = k"
    x = torch.tensor([1.0, 2.0], dtype=dtype)
    y, z = module(text, "torch").f(x, k=-1e308)
    assert y.tolist() == [2.0, 4.0] and z.dtype == dtype
    assert z.item() == (-1e308 if dtype == torch.float64 else -np.inf)


def test_an_output_that_is_another_output_may_be_a_number() -> None:
    """A number is not copied as an array is."""
    text = "r, q, s[n] = f(x[n], k=2)\nr = k\nq = r\ns[n] = q"
    for backend, array in (("numpy", np.ones), ("torch", torch.ones)):
        make: Any = array
        (r, q, s), _ = module(text, backend).f_forward(make(3))
        assert float(r) == float(q) == 2 and s.tolist() == [2.0, 2.0, 2.0], backend


@each_array_backend
def test_the_docstring_says_such_a_number_in_few_digits(backend: str) -> None:
    source = arrays(backend).text(kernel("y[n] = maximum(x[n], -1e308)*x[n]"), "a test")
    assert max(map(len, source.splitlines())) < 140 and "0000000000" not in source
