"""Powers by numbers, and by constants of the op, in every backend: at 0, of negative numbers, for integers and fractions."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

import derive
from codegen.plan import plan
from codegen.program import Kernel
from derive.errors import OpError
from derive.language.parse import parse
from derive.language.unicode import language
from derive.show.latex import latex
from tests import backends
from tests.systems.check import load

EXPONENTS = ("0.5", "-1", "1/3", "-0.5", "2.0", "3", "2.5", "0", "1")
NAMES = "abceghijk"
TEXTS = {
    "numbers": f"{', '.join(f'{n}[n]' for n in NAMES)} = f(x[n])\n"
    + "\n".join(f"{n}[n] = x[n]**({e})" for n, e in zip(NAMES, EXPONENTS, strict=True)),
    "a constant": "a[n] = f(x[n], k=3)\na[n] = x[n]**k",
    "a constant that is not 0": "a[n] = f(x[n], k=3)\nk > 0\na[n] = x[n]**k",
    "in an expression": "a[n] = f(x[n], k=3)\nk > 0\na[n] = (1 - x[n])**k*x[n] + (1 + x[n]**2)**(1/(2*k))",
}
BACKENDS = backends.parameters(["numpy", "torch", "jax", "native"])
VALUES = [0.0, 1e-3, 0.5, 1.0, 2.0, 7.0, -1.0, -0.5, -3.0]


@cache
def kernel(name: str) -> Kernel:
    return plan(derive.derive(derive.parse(TEXTS[name])))


@cache
def loaded(name: str, backend: str) -> Any:
    return load(kernel(name), backend)


def computed(name: str, backend: str, x: torch.Tensor, **constants: float) -> list[np.ndarray]:
    """The outputs, and the gradient of their sum."""
    module, (given, up) = loaded(name, backend), backends.arguments(backend, x, torch.ones_like(x))
    forward, backward = kernel(name).forward, kernel(name).backward
    own = [constants[c.name] for c in forward.constants]
    outputs, saved = module.f_forward(given, *own)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    known = dict(zip(forward.results[len(outputs) :], saved, strict=True)) | {"x": given}
    known |= {f"d{t.name}": up for t in kernel(name).op.outputs}
    dx = module.f_backward(*(known[a.name] for a in backward.arguments), *(constants[c.name] for c in backward.constants))
    return [np.asarray(y) for y in (*outputs, dx)]


@pytest.mark.parametrize("backend", BACKENDS)
def test_powers_by_numbers(backend: str) -> None:
    x = torch.tensor(VALUES, dtype=torch.float64, requires_grad=True)
    numbers = [float(eval(e)) for e in EXPONENTS]
    wanted = [x**e for e in numbers]
    (dx,) = torch.autograd.grad(torch.stack(wanted).sum(), x)
    *outputs, found = computed("numbers", backend, x.detach())
    same([*outputs, found[1:]], [*wanted, dx[1:]])  # at 0 infinities of both signs are added up


@pytest.mark.parametrize("exponent", EXPONENTS)
def test_the_derivative_at_0(exponent: str) -> None:
    function = load(plan(derive.derive(derive.parse_formula(f"y[n] = x[n]**({exponent})"))), "torch").y
    x = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    e = float(eval(exponent))
    for got, want in zip(torch.autograd.grad(function(x).sum(), x), torch.autograd.grad((x**e).sum(), x), strict=True):
        torch.testing.assert_close(got, want)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("k", [0.0, 0.5, 1.0, 2.0, 3.0, 2.5, -1.0])
def test_powers_by_a_constant(backend: str, k: float) -> None:
    x = torch.tensor(VALUES, dtype=torch.float64, requires_grad=True)
    y = x**k
    same(computed("a constant", backend, x.detach(), k=k), [y, *torch.autograd.grad(y.sum(), x, retain_graph=True)])
    if k > 0:
        same(
            computed("a constant that is not 0", backend, x.detach(), k=k),
            [y, *torch.autograd.grad(y.sum(), x, retain_graph=True)],
        )
        y = (1 - x) ** k * x + (1 + x**2) ** (1 / (2 * k))
        same(computed("in an expression", backend, x.detach(), k=k), [y, *torch.autograd.grad(y.sum(), x, retain_graph=True)])


def same(got: list[np.ndarray], wanted: list[torch.Tensor]) -> None:
    for one, want in zip(got, wanted, strict=True):
        tolerance = 1e-13 if one.dtype == np.float64 else 2e-6
        np.testing.assert_allclose(one, want.detach().numpy(), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("k", [1.0, 2.0, 2.5, 3.0, 4.0])
def test_second_derivatives(k: float) -> None:
    x = torch.tensor([0.0, 0.5, 2.0] + ([-1.5] if k != 2.5 else []), dtype=torch.float64)
    function = loaded("a constant that is not 0", "torch").f
    both = (lambda x: function(x, k), lambda x: x**k)
    got, want = (torch.autograd.functional.hessian(lambda x, g=g: (g(x) ** 2 + g(x)).sum(), x) for g in both)
    torch.testing.assert_close(got, want)


@pytest.mark.parametrize(
    ("name", "slope"), [("a constant", "where(k != 0, k - 1, 0)"), ("a constant that is not 0", "(k - 1)")]
)
def test_the_derivative_is_written_as_a_power(name: str, slope: str) -> None:
    trees = [s.tree for s in (*kernel(name).forward.statements, *kernel(name).backward.statements)]
    assert f"x[n]**{slope}" in " ".join(map(language, trees))
    assert latex(trees[0]) == "x_{n}^{k}"


def test_a_call_with_a_number_for_the_constant_is_a_power_by_that_number() -> None:
    inner = derive.parse("y[n] = bend(x[n], k=3)\ny[n] = x[n]**k")
    op = parse("y[n] = f(x[n])\ny[n] = bend(x[n], k=2)", catalogue={"bend": inner}.get)
    assert [language(line.tree) for line in derive.derive(op).lines] == ["2*dy[n]*x[n]"]


@pytest.mark.parametrize("exponent", ["w[n]", "size(n)", "x[n]", "k*w[n]", "pi", "sqrt(2)"])
def test_other_exponents_are_refused(exponent: str) -> None:
    for text in (f"x[n]**({exponent})", f"power(x[n], {exponent})"):
        with pytest.raises(OpError, match=r"an exponent must be a number or a constant; write a\*\*b as exp"):
            derive.parse(f"y[n] = f(x[n], w[n], k=1)\ny[n] = {text}")


@pytest.mark.parametrize(
    ("written", "value"),
    [("1_000", 1000), (".5", 0.5), ("1.", 1), ("1e-5", 1e-5), ("1E5", 1e5), ("0x10", 16), ("2**-0.5", 2**-0.5), ("4**0.5", 2)],
)
def test_numbers_as_people_write_them(written: str, value: float) -> None:
    y, _ = load(plan(derive.derive(derive.parse_formula(f"y[n] = {written}*x[n]"))), "numpy").y_forward(np.ones(2))
    np.testing.assert_allclose(y, value, rtol=1e-15)


@pytest.mark.parametrize(
    ("written", "message"),
    [("inf", "leave the bound out, as in clamp(a, lo=0)"), ("nan", "is no number here"), ("e", "exp(1)"), ("tau", "2*pi")],
)
def test_numbers_that_the_language_lacks(written: str, message: str) -> None:
    with pytest.raises(OpError) as error:
        derive.parse(f"y[n] = f(x[n])\ny[n] = {written}*x[n]")
    assert message in str(error.value)
