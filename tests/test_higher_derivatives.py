"""Derivatives to the fifth by torch: those of the equations at many digits, also where the engine computes by a kink.

A softplus is computed by a maximum and an absolute value, and is smooth all the same: at 0 its derivatives of every order are
its own, and so are those of whatever it is a part of.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import mpmath
import pytest
import torch

import derive
from codegen.plan import plan
from codegen.verify.agreement import load_kernel
from derive.ops import find
from tests.judged import module

MP = mpmath.mp.clone()
MP.dps = 60
ORDER = 5
POINTS = (0.0, -0.0, 1e-9, 0.5, -0.5, 1.0, -1.0, 3.0, -3.0, 20.0, -20.0, 90.0, -90.0, 400.0, -400.0)
Function = Callable[[Any], Any]


def logistic(x: Any) -> Any:
    return 1 / (1 + MP.exp(-x))


def softplus(x: Any) -> Any:
    return MP.log1p(MP.exp(x))


SYSTEMS: dict[str, Function] = {
    "x[n]*tanh(log(1 + exp(x[n])))": lambda x: x * MP.tanh(softplus(x)),
    "log(1 + exp(x[n]))**2": lambda x: softplus(x) ** 2,
    "sqrt(1 + log(1 + exp(x[n])))": lambda x: MP.sqrt(1 + softplus(x)),
    "x[n]*log(1 + exp(2*x[n]))/2": lambda x: x * softplus(2 * x) / 2,
    "x[n]*log(exp(x[n]**2) + exp(x[n]))": lambda x: x * MP.log(MP.exp(x**2) + MP.exp(x)),
    "-(1 - sigmoid(x[n]))**2*log(sigmoid(x[n]))": lambda x: (1 - logistic(x)) ** 2 * softplus(-x),
    "x[n]/2*(1 + tanh(0.75*(x[n] + x[n]**3/16)))": lambda x: x / 2 * (1 + MP.tanh(0.75 * (x + x**3 / 16))),
    "tanh(x[n]*tanh(x[n]))": lambda x: MP.tanh(x * MP.tanh(x)),
}
CATALOGUE: dict[str, Function] = {
    "sigmoid": logistic,
    "silu": lambda x: x * logistic(x),
    "tanh": MP.tanh,
    "gelu": lambda x: x / 2 * MP.erfc(-x / MP.sqrt(2)),
}


def derivatives(function: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    """The value and the derivatives of a function of one number, at every point."""
    x = torch.tensor(POINTS, dtype=torch.float64, requires_grad=True)
    found = [function(x)]
    for _ in range(ORDER):
        total = found[-1].sum() + 0 * x.sum()  # what depends on nothing has the derivative 0
        found += torch.autograd.grad(total, x, create_graph=True)
    return torch.stack(found).detach()


@cache
def exactly(function: Function) -> torch.Tensor:
    rows = [[float(c * MP.factorial(k)) for k, c in enumerate(MP.taylor(function, MP.mpf(p), ORDER))] for p in POINTS]
    return torch.tensor(rows, dtype=torch.float64).T


def assert_right(function: Callable[[torch.Tensor], torch.Tensor], exact: Function) -> None:
    torch.testing.assert_close(derivatives(function), exactly(exact), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("right", SYSTEMS)
def test_of_systems(right: str) -> None:
    assert_right(module(f"y[n] = f(x[n])\ny[n] = {right}", "torch").f, SYSTEMS[right])


@pytest.mark.parametrize("name", [n + variant for n in CATALOGUE for variant in ("", "_accurate")])
def test_of_the_catalogue(name: str) -> None:
    op = find(name)
    assert op is not None
    made = load_kernel(plan(derive.derive(op)), "torch")
    assert_right(getattr(made, name), CATALOGUE[op.base])
