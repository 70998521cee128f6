"""A number beyond float32's range, or below its normal one, times or over float32: what exact arithmetic gives, rounded.

Zero times such a number is 0 and not NaN, and no digits are lost to a number that is itself rounded to a subnormal one.
"""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
import torch

import derive
from codegen.plan import plan
from codegen.verify.agreement import run_kernel
from tests.systems.check import BACKENDS, load

X = [0.0, -0.0, 1.0, -3.0, 1e-30, 1e30, 1e-44, -2.5e-38, 3e38]
#: Right sides, with the value and the derivative in exact arithmetic.
CASES = {
    "x[n]*1e40": ("1e40", 1),
    "-1e39*x[n]": ("-1e39", 1),
    "x[n]/1e40": ("1e-40", 1),
    "x[n]/1e-40": ("1e40", 1),
    "x[n]*1e-40": ("1e-40", 1),
    "x[n]*3e-43": ("3e-43", 1),
    "x[n]*1e-60*1e30": ("1e-30", 1),
    "x[n]*1e39/1e39": ("1", 1),
    "x[n]*(1e39 + 1e39)": ("2e39", 1),
    "x[n]*exp(100)": ("exp(100)", 1),
    "x[n]/exp(100)": ("exp(-100)", 1),
    "x[n]*exp(100)/exp(99)": ("exp(1)", 1),
    "x[n]*pi*1e40": ("pi*1e40", 1),
    "x[n]*1e-40*x[n]": ("1e-40", 2),
}


def number(text: str) -> mpmath.mpf:
    names = {"exp(100)": mpmath.exp(100), "exp(-100)": mpmath.exp(-100), "exp(1)": mpmath.e, "pi*1e40": mpmath.pi * 10**40}
    return names[text] if text in names else mpmath.mpf(text)


def rounded(value: mpmath.mpf) -> float:
    with np.errstate(over="ignore"):
        return float(np.float32(float(value)))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("right", CASES)
def test_value_and_gradient_are_those_of_exact_arithmetic(right: str, backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKPROP_NINJA_CFLAGS", "-O0")
    kernel = plan(derive.derive(derive.parse(f"y[n] = f(x[n])\ny[n] = {right}")))
    text, power = CASES[right]
    x = torch.tensor(X, dtype=torch.float32)
    if power == 2:  # squares that no rounding takes out of the range
        x = x[x.abs() < 1e18]
    flushed = np.finfo(np.float32).tiny if backend == "jax" else 0.0  # to XLA what is below the normal numbers is 0
    x = x[(x.abs() >= flushed) | (x == 0)]
    outputs, found = run_kernel(kernel, load(kernel, backend), backend, {"x": x}, [torch.ones_like(x)], {})
    factor, inputs = number(text), [mpmath.mpf(v) for v in x.tolist()]
    wanted = [[rounded(factor * v**power) for v in inputs], [rounded(factor * power * v ** (power - 1)) for v in inputs]]
    for got, want in zip([*outputs, *found], wanted, strict=True):
        assert got.dtype == torch.float32
        np.testing.assert_allclose(got.numpy(), np.array(want), rtol=3e-7, atol=max(flushed, 1.5e-45))
