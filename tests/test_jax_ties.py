"""What JAX makes of second derivatives at ties and zeros: those of the declared slopes, by jets of many digits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import derive
from codegen.backends.discovery import by_name
from codegen.plan import plan
from codegen.verify.agreement import load_kernel
from tests.jets import hessian

jax = pytest.importorskip("jax")

TEXT = "y[n] = f(x[n], z[n])\ny[n] = maximum(x[n], z[n])*abs(x[n] - z[n]) + abs(z[n])*x[n]"


def test_second_derivatives_at_ties() -> None:
    op = derive.parse(TEXT)
    module = load_kernel(plan(derive.derive(op)), "jax")
    inputs = {"x": np.array([0.0, -1.0, 1.0]), "z": np.array([0.0, 0.0, 1.0])}
    weights = np.array([0.5, 1.0, 1.5])
    first, second = hessian(op, inputs, {"y": weights}, {})
    with by_name("jax").running():

        def loss(*values: Any) -> Any:
            return (weights * module.f(*values)).sum()

        gradients = jax.jit(jax.grad(loss, (0, 1)))(*inputs.values())
        rows = jax.jit(jax.hessian(loss, (0, 1)))(*inputs.values())
    for one, gradient, row in zip(inputs, gradients, rows, strict=True):
        np.testing.assert_allclose(gradient, first[one], rtol=0, atol=1e-12)
        for other, found in zip(inputs, row, strict=True):
            np.testing.assert_allclose(found, second[one, other], rtol=0, atol=1e-12, err_msg=f"{one}, {other}")
