"""``round``, ``ceil`` and ``stop`` in every backend: values, derivatives, straight-through estimators."""

from __future__ import annotations

from fractions import Fraction
from functools import cache

import numpy as np
import pytest
import torch

import derive
from codegen.plan import plan
from codegen.program import Kernel
from derive.certify.differences import differences
from derive.certify.stage import Stage
from derive.language.unicode import language
from derive.points import Point
from tests import backends
from tests.systems.check import load

TEXT = """
r[n], c[n], e[n], q[n] = steps(x[n], w[n])
r[n] = round(x[n])*w[n]
c[n] = ceil(x[n])*w[n]
e[n] = x[n] + stop(round(x[n]) - x[n])
q[n] = stop(x[n])*w[n]*x[n]
"""
#: Numbers at and beside steps; of two integers equally near the even one is taken.
VALUES = [-2.5, -1.5, -0.5, -0.0, 0.25, 0.5, 1.5, 2.5, 3.0, 7.49999, 1e7, -np.inf]


@cache
def kernel() -> Kernel:
    return plan(derive.derive(derive.parse(TEXT)))


@pytest.mark.parametrize("backend", backends.parameters(["numpy", "torch", "jax", "native"]))
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values_and_gradients_in_every_backend(backend: str, dtype: torch.dtype) -> None:
    module = loaded(backend)
    x = torch.tensor(VALUES, dtype=dtype)[:-1].requires_grad_()
    w = torch.linspace(1, 2, len(x), dtype=dtype).requires_grad_()
    rounded = torch.round(x)
    wanted = (rounded * w, torch.ceil(x) * w, x + (rounded - x).detach(), x.detach() * w * x)
    given = backends.arguments(backend, x.detach(), w.detach())
    outputs, saved = module.steps_forward(*given)
    ups = [torch.linspace(-1, k, len(x), dtype=dtype) for k in range(1, 5)]
    gradients = torch.autograd.grad(wanted, (x, w), ups)
    known = dict(zip(kernel().forward.results[4:], saved, strict=True)) | dict(zip("xw", given, strict=True))
    known |= dict(zip(("dr", "dc", "de", "dq"), backends.arguments(backend, *ups), strict=True))
    found = module.steps_backward(*(known[a.name] for a in kernel().backward.arguments))
    for got, want in zip((*outputs, *found), (*wanted, *gradients), strict=True):
        got = np.asarray(got)
        np.testing.assert_allclose(got, want.detach().numpy(), rtol=1e-14 if got.dtype == np.float64 else 1e-6)


@cache
def loaded(backend: str) -> object:
    return load(kernel(), backend)


def test_second_derivatives_are_those_of_torch() -> None:
    """What is stopped stays a constant in the second derivative, as if it had been given."""
    x, w = torch.tensor([0.3, -1.7, 2.5], dtype=torch.float64), torch.tensor([2.0, 3.0, -1.0], dtype=torch.float64)

    def ours(x: torch.Tensor) -> torch.Tensor:
        return sum(loaded("torch").steps(x, w))  # type: ignore[attr-defined, no-any-return]

    def theirs(x: torch.Tensor) -> torch.Tensor:
        return torch.round(x) * w + torch.ceil(x) * w + x + (torch.round(x) - x).detach() + x.detach() * w * x

    for f, g in ((ours, theirs), (lambda x: ours(x) ** 2, lambda x: theirs(x) ** 2)):
        got, want = (torch.autograd.functional.hessian(lambda x, h=h: h(x).sum(), x) for h in (f, g))
        torch.testing.assert_close(got, want)


def test_the_gradient_of_what_is_stopped_is_zero_and_the_rest_stays() -> None:
    lines = {line.name: language(line.tree) for line in derive.derive(derive.parse(TEXT)).lines}
    assert "round" not in lines["dx"] and "dr" not in lines["dx"]
    alone = derive.derive(derive.parse_formula("y[n] = x[n] + stop(round(x[n]) - x[n])"))
    assert [language(line.tree) for line in alone.lines] == ["dy[n]"]


EXACT = """
y[n] = through(x[n], q[n])
y[n] = stop(q[n]) + (x[n] - stop(x[n]))
"""


@pytest.mark.parametrize("backend", backends.parameters(["numpy", "torch", "jax", "native"]))
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_difference_that_is_0_leaves_the_values_as_they_are(backend: str, dtype: torch.dtype) -> None:
    x = torch.tensor([1e7, -1.1, 0.3, 3e-9], dtype=dtype)
    q = torch.tensor([0.1, 1 / 3, -1e9, 0.7], dtype=dtype)
    assert not torch.equal(x + (q - x), q)
    kernel = plan(derive.derive(derive.parse(EXACT)))
    assert [language(line.tree) for line in kernel_lines(EXACT)] == ["dy[n]", "0"]
    with backends.by_name(backend).running():
        y, _ = load(kernel, backend).through_forward(*backends.arguments(backend, x, q))
    np.testing.assert_array_equal(np.asarray(y), q.numpy())


def kernel_lines(text: str) -> tuple[derive.Line, ...]:
    return derive.derive(derive.parse(text)).lines


def test_a_difference_quotient_holds_what_is_stopped() -> None:
    op = derive.parse_formula("y[n] = stop(tanh(x[n]))*x[n]**2")
    at = Point({"n": 2}, {"x": [Fraction(1, 3), Fraction(-2, 7)], "dy": [Fraction(1), Fraction(2)]})
    assert not differences(Stage(op, at), ["x"], 1)


def test_nothing_given_is_written_over() -> None:
    """In NumPy a stop passes an array on; where that is an input, it is copied before anything is written over it."""
    kernel = plan(derive.derive(derive.parse_formula("y[n] = exp(stop(x[n]))*x[n]")))
    x = np.linspace(-1, 1, 5)
    before = x.copy()
    load(kernel, "numpy").y_forward(x)
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize(
    ("text", "value"), [("round(5/2)", 2), ("round(-3/2)", -2), ("ceil(7/2)", 4), ("stop(2)", 2), ("sign(-3)", -1)]
)
def test_functions_of_numbers(text: str, value: int) -> None:
    kernel = plan(derive.derive(derive.parse_formula(f"y[n] = x[n]*{text}")))
    y, _ = load(kernel, "numpy").y_forward(np.ones(3))
    np.testing.assert_array_equal(y, np.full(3, float(value)))


@pytest.mark.parametrize("word", ["cast", "float", "int"])
def test_there_is_no_cast_and_what_there_is_instead_is_named(word: str) -> None:
    """Equations hold in any dtype: a change of dtype is no value."""
    with pytest.raises(derive.OpError, match=r"write round\(a\), .*, and a \+ stop\(round\(a\) - a\) for a straight-through"):
        derive.parse(f"y[n] = f(x[n])\ny[n] = {word}(x[n])\n")
