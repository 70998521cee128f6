"""What is known of a sign holds for every element: two elements of one tensor are two numbers."""

from __future__ import annotations

import pytest
import torch

import derive
from derive.certify import certify
from derive.simplify.signs import Signs
from derive.terms.flatten import flatten
from tests.judged import judge

#: Expressions of which no sign is known, though each would be a square if its two elements were one.
NO_SQUARES = {
    "two elements": "x[i]*x[j]",
    "an element and its neighbour": "x[i]*x[t[i]]",
    "elements that a sum takes together": "sum[k](x[i]*x[k])",
    "functions of two elements": "sinh(x[i])*sinh(x[j])",
    "the largest and the smallest": "max[i](x[i])*min[i](x[i])",
    "the largest and any": "max[i](x[i])*x[j]",
    "cubes": "x[i]**3*x[j]",
}
SQUARES = ("x[i]**2", "x[j]*x[i]**2*x[j]", "sinh(x[i])**2", "max[i](x[i])**2", "x[i]**2*x[j]**4")


def known(expression: str) -> set[str]:
    op = derive.parse(f"y[i, j] = f(x[i], v[j, k], t[i])\nt[i] in i\ny[i, j] = {expression}")
    definitions = {d.name: d for d in flatten(op)[0]}
    return set(Signs(op, definitions).of("y"))


@pytest.mark.parametrize("name", NO_SQUARES)
def test_a_product_of_two_elements_has_any_sign(name: str) -> None:
    assert not known(NO_SQUARES[name])
    assert "positive" not in known(f"1 + {NO_SQUARES[name]}")


@pytest.mark.parametrize("expression", SQUARES)
def test_a_square_of_an_element_is_not_negative(expression: str) -> None:
    assert known(expression) == {"nonnegative"}
    assert {"positive", "nonzero"} <= known(f"1 + {expression}")


@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_a_logarithm_of_a_positive_product_of_negative_factors(backend: str) -> None:
    """The logarithms of the factors would have no value."""
    text = "y[i, j] = f(x[i], w[i], u[i, j])\ny[i, j] = log((1 + x[i]*x[j])*(2 + w[i]*w[j])*exp(u[i, j]))"
    x, w = torch.tensor([2.0, -3.0], dtype=torch.float64), torch.tensor([3.0, -2.0], dtype=torch.float64)
    u = torch.tensor([[0.5, -1.0], [2.0, 0.25]], dtype=torch.float64)
    judge(text, backend, lambda x, w, u: ((1 + x[:, None] * x) * (2 + w[:, None] * w) * u.exp()).log(), [x, w, u])


@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_a_factor_that_is_0_where_elements_differ_in_sign_is_not_divided_by(backend: str) -> None:
    text = "y[i, j] = f(a[i, j], x[i])\nh[i, j] = tanh(a[i, j])\ng[i, j] = 1 + x[i]*x[j]\ny[i, j] = h[i, j]*g[i, j]"
    a, x = torch.tensor([[0.5, -1.0], [2.0, 0.25]], dtype=torch.float64), torch.tensor([1.0, -1.0], dtype=torch.float64)
    judge(text, backend, lambda a, x: a.tanh() * (1 + x[:, None] * x), [a, x])


@pytest.mark.parametrize("step", ["sign", "floor"])
def test_the_certificate_takes_no_step_for_what_rounding_leaves_of_0(step: str) -> None:
    """The deviations from a mean sum to 0, in the order of the equations and in that of the terms."""
    text = f"y[i] = f(x[n], v[i])\nc[n] = x[n] - mean[n](x[n])\ny[i] = v[i]*{step}(sum[n](c[n]*v[i]))"
    assert certify(derive.derive(derive.parse(text))).passed
