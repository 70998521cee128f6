"""Choices in array libraries, which evaluate both branches: what is not taken has no part in any derivative, and no warning."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from codegen.plan import plan
from codegen.verify.agreement import load_kernel
from derive import derive, parse

CAUSAL = """
o[i, d] = causal(S[i, j], v[j, d])
e[i, j] = where(j <= i, exp(S[i, j]), 0)
P[i, j] = e[i, j]/sum[j](e[i, j])
o[i, d] = sum[j](P[i, j]*v[j, d])
"""


def causal(s: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    return s.masked_fill(torch.ones_like(s).triu(1).bool(), -torch.inf).softmax(-1) @ v


def far(*shape: int) -> torch.Tensor:
    """Numbers of which some overflow in an exponential."""
    values = torch.tensor([-2000.0, -1.0, -0.25, 0.5, 1.0, 2000.0, 1e30], dtype=torch.float64)
    chosen = np.random.default_rng(3).integers(0, len(values), shape)
    return values[torch.from_numpy(chosen)]


#: The equations, what torch has for them, and inputs at which the branch that is not taken overflows or is undefined.
CASES: dict[str, tuple[str, Any, tuple[torch.Tensor, ...]]] = {
    "exponential": ("y[n] = f(x[n])\ny[n] = where(x[n] <= 0, exp(x[n]) - 1, x[n])", functional.elu, (far(9),)),
    "a named exponential": (
        "y[n] = f(x[n], alpha=1.5)\nalpha > 0\ny[n] = where(x[n] <= 0, alpha*expm1(x[n]/alpha), x[n])",
        lambda x: functional.celu(x, 1.5),
        (far(9),),
    ),
    "the second branch": (
        "y[n] = f(x[n])\ny[n] = where(x[n] > 0, x[n], exp(2*x[n])*x[n])",
        lambda x: torch.where(x > 0, x, torch.exp(2 * x.clamp(max=0)) * x),
        (far(9),),
    ),
    "logarithm": (
        "y[n] = f(x[n])\ny[n] = where(x[n] > 0, log(x[n])**2, 0)",
        lambda x: torch.where(x > 0, torch.log(torch.where(x > 0, x, 1.0)) ** 2, 0.0),
        (torch.tensor([-3.0, 0.0, 0.5, 2.0], dtype=torch.float64),),
    ),
    "root": (
        "y[n] = f(x[n])\ny[n] = where(x[n] > 1, sqrt(x[n] - 1), 0)",
        lambda x: torch.where(x > 1, torch.sqrt(torch.where(x > 1, x - 1, 1.0)), 0.0),
        (torch.tensor([-3.0, 0.0, 1.0, 2.0], dtype=torch.float64),),
    ),
    "quotient": (
        "y[n] = f(x[n], w[n])\ny[n] = where(w[n] != 0, x[n]/w[n], x[n])",
        lambda x, w: torch.where(w != 0, x / torch.where(w != 0, w, 1.0), x),
        (torch.tensor([1.0, -2.0, 3.0], dtype=torch.float64), torch.tensor([0.0, 2.0, -0.5], dtype=torch.float64)),
    ),
    "causal": (
        CAUSAL,
        causal,
        (torch.tensor([[1.0, 9e3, 2e5], [0.5, -1.0, 8e4], [0.0, 2.0, 1.0]], dtype=torch.float64), far(3, 2).clamp(-2, 2)),
    ),
}


def derivatives(function: Any, inputs: tuple[torch.Tensor, ...]) -> list[torch.Tensor]:
    """The value, the gradients of a weighted sum of it, and the gradients of a sum over these."""
    leaves = [v.clone().requires_grad_() for v in inputs]
    value = function(*leaves)
    weights = torch.linspace(0.5, 1.5, value.numel(), dtype=value.dtype).reshape(value.shape)
    first = torch.autograd.grad((weights * value).sum(), leaves, create_graph=True)
    total = sum((g * torch.linspace(1, 2, g.numel(), dtype=g.dtype).reshape(g.shape)).sum() for g in first)
    second = torch.autograd.grad(total, leaves, allow_unused=True, materialize_grads=True)
    return [value.detach(), *(g.detach() for g in (*first, *second))]


@pytest.mark.parametrize("name", CASES)
def test_first_and_second_derivatives_are_those_of_the_branch_that_is_taken(name: str) -> None:
    text, reference, inputs = CASES[name]
    op = parse(text)
    kernel = load_kernel(plan(derive(op)), "torch")
    for got, want in zip(derivatives(getattr(kernel, op.name), inputs), derivatives(reference, inputs), strict=True):
        torch.testing.assert_close(got, want, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_numpy_warns_of_nothing_that_is_not_taken(name: str) -> None:
    text, reference, inputs = CASES[name]
    op = parse(text)
    module = load_kernel(plan(derive(op)), "numpy")
    with np.errstate(all="raise", under="ignore"):
        value, saved = getattr(module, f"{op.name}_forward")(*(v.numpy() for v in inputs))
    np.testing.assert_allclose(value, reference(*inputs).numpy(), rtol=1e-12)
