"""Numbers, constants and lengths in the array kernels: exact where they are written, and computed in the dtype of the op."""

from __future__ import annotations

import ast
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch

from codegen.backends.arrays.discovery import arrays
from codegen.backends.arrays.numerals import number
from codegen.program import Argument, Program, Role
from derive import syntax as st
from tests.backends import each_array_backend
from tests.judged import judge, kernel, module, normal

# ---- literals -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Fraction(7), "7"),
        (Fraction(-7), "-7"),
        (Fraction(10**6), "1000000"),
        (Fraction(10**20), "1e+20"),
        (Fraction(1, 2), "0.5"),
        (Fraction(1, 3), "1 / 3"),
        (Fraction(-2, 3), "-2 / 3"),
        (Fraction(44715, 10**6), "0.044715"),
        (Fraction("0.7978845608028654"), "0.7978845608028654"),
        (Fraction("0.333333333333") ** 2, "0.1111111111108889"),
        (Fraction("1e308"), "1e+308"),
        (Fraction(10) ** 400, "math.inf"),
        (-(Fraction(10) ** 400), "-math.inf"),
    ],
)
def test_a_number_is_written_in_the_fewest_digits_that_say_it(value: Fraction, text: str) -> None:
    assert number(value).code == text


def test_every_number_written_is_the_nearest_double() -> None:
    rng = np.random.default_rng(0)
    for _ in range(500):
        value = Fraction(int(rng.integers(-(10**6), 10**6)), int(rng.integers(1, 10 ** int(rng.integers(1, 12)))))
        assert eval(number(value).code, {"math": math}) == value.numerator / value.denominator


GELU = "y[n] = 0.5*x[n]*(1 + tanh(0.7978845608028654*(x[n] + 0.044715*x[n]**3)))"


@each_array_backend
@pytest.mark.parametrize(
    ("text", "reference"),
    [
        (GELU, lambda x: torch.nn.functional.gelu(x, approximate="tanh")),
        ("y[n] = x[n]*1e20", lambda x: x * 1e20),
        ("y[n] = x[n]*1e308", lambda x: x * 1e308),
        ("y[n] = 0.333333333333**2*x[n]", lambda x: x * 0.333333333333**2),
        ("y[n] = x[n]*((2 + 5)/3)", lambda x: x * (7 / 3)),
        ("y[n] = tanh(x[n] + 5*3/2)", lambda x: torch.tanh(x + 7.5)),
        ("y[n] = 1000000*1000000*1000000*1000000*x[n]", lambda x: x * 1e24),
        ("y[n] = x[n]*10**15 + x[n]*10**30", lambda x: x * (1e15 + 1e30)),
        ("y[n] = (-2)**3*x[n]**(-1) - x[n]**(-2)", lambda x: -8 / x - 1 / x**2),
    ],
)
def test_literals_of_any_length(text: str, reference: Any, backend: str) -> None:
    judge(text, backend, reference, normal((5,)))


@each_array_backend
def test_no_literal_is_an_integer_that_int64_does_not_hold(backend: str) -> None:
    text = GELU.replace("0.044715", "0.333333333333**2")
    source = arrays(backend).text(kernel(text), "a test")
    for node in ast.walk(ast.parse(source)):
        assert not (isinstance(node, ast.Constant) and isinstance(node.value, int) and abs(node.value) >= 2**63)


# ---- functions of numbers -------------------------------------------------------------------------------------------------


@each_array_backend
@pytest.mark.parametrize(
    ("right", "reference"),
    [
        ("where(x[n] > 0, exp(1), 1.05)", lambda x: torch.where(x > 0, math.e, torch.tensor(1.05, dtype=x.dtype))),
        ("x[n]*sign(2) + x[n]**2*sign(-3)", lambda x: x - x**2),
        ("x[n]*erfcx(1)", lambda x: x * 0.427583576155807004410750344490515),
        ("x[n]*maximum(2, 3)*minimum(1/3, 4)*abs(-5)", lambda x: x * 5),
        ("x[n]*where(2 > 1, 3, 4) + where(1 > 2, x[n], x[n]**2)", lambda x: 3 * x + x**2),
        ("x[n]*(exp(2) + log(2) + tanh(1) + sqrt(2) + erf(1) + floor(7/2) + log1p(1) + expm1(1) + cosh(1))", None),
        ("x[n]*(2*pi)**(1/3)", lambda x: x * (2 * math.pi) ** (1 / 3)),
    ],
)
def test_functions_of_numbers(right: str, reference: Any, backend: str) -> None:
    total = math.exp(2) + math.log(2) + math.tanh(1) + 2**0.5 + math.erf(1) + 3 + math.log1p(1) + math.expm1(1) + math.cosh(1)
    judge(f"y[n] = {right}", backend, reference or (lambda x: x * total), normal((5,)))


@each_array_backend
@pytest.mark.parametrize(
    ("tree", "code"),
    [
        (st.Call("log", (st.Num(Fraction(0)),)), "-math.inf"),
        (st.Call("exp", (st.Num(Fraction(1000)),)), "math.inf"),
        (st.Div(st.Num(Fraction(1)), st.Call("exp", (st.Num(Fraction(1000)),))), "1 / math.inf"),
        (st.Pow(st.Neg(st.Num(Fraction(1))), st.Num(Fraction(1, 2))), "math.nan"),
        (st.Pow(st.Num(Fraction(10)), st.Num(Fraction(30))), "1e+30"),
        (st.Call("exp", (st.Num(Fraction(2)),)), "math.exp(2)"),
        (st.Call("sign", (st.Neg(st.Num(Fraction(2))),)), "-1.0"),
    ],
)
def test_numbers_that_python_refuses_are_written_as_floating_point_has_them(tree: st.Tree, code: str, backend: str) -> None:
    program = Program("f", (Argument("x", ("n",), Role.INPUT),), (), (), (), "", False)
    assert arrays(backend).printer(program).value(tree, ()).code == code


def tensor(x: torch.Tensor, value: float) -> torch.Tensor:
    return x.new_full((), value)


@each_array_backend
@pytest.mark.parametrize("k", [0.5, -0.5, 0.0])
@pytest.mark.parametrize(
    ("right", "reference"),
    [
        ("maximum(x[n], k)", lambda x, k: torch.maximum(x, tensor(x, k))),
        ("minimum(k, x[n]) + maximum(k, 0.25)*x[n]", lambda x, k: torch.minimum(x, tensor(x, k)) + max(k, 0.25) * x),
        ("where(k > 0, x[n], 2*x[n])", lambda x, k: x if k > 0 else 2 * x),
        ("where(x[n] > k, k, 1)*x[n]", lambda x, k: torch.where(x > k, k, 1) * x),
        ("where(k > 0, k, 2)*x[n]", lambda x, k: (k if k > 0 else 2) * x),
        ("abs(k)*x[n] + sign(k)", lambda x, k: abs(k) * x + torch.sign(tensor(x, k))),
        ("erf(k)*x[n] + erfcx(k)", lambda x, k: math.erf(k) * x + torch.special.erfcx(tensor(x, k))),
        ("log(k)*x[n]", lambda x, k: torch.log(tensor(x, k)) * x),
        ("sqrt(k)*x[n]", lambda x, k: torch.sqrt(tensor(x, k)) * x),
        ("k**(1/3)*x[n]", lambda x, k: tensor(x, k) ** (1 / 3) * x),
        ("x[n]/k", lambda x, k: x / k),
        ("x[n] + 1/k + k**(-2)", lambda x, k: x + 1 / tensor(x, k) + tensor(x, k) ** -2),
        ("x[n]*exp(1000*k)", lambda x, k: x * torch.exp(1000 * tensor(x, k))),
        ("x[n]*size(n)/(size(n) + k)", lambda x, k: x * (5 / (5 + k))),
        ("k", lambda x, k: torch.full_like(x, k)),
        ("x[n]*(floor(k) + cos(k) + expm1(k) + log1p(k))", None),
    ],
)
def test_functions_of_constants(right: str, reference: Any, k: float, backend: str) -> None:
    """Whatever the caller gives, inf and NaN come out where floating point has them."""

    def several(x: torch.Tensor, k: float) -> torch.Tensor:
        return x * (math.floor(k) + math.cos(k) + math.expm1(k) + math.log1p(k))

    text = f"y[n] = f(x[n], k=1)\ny[n] = {right}"
    judge(text, backend, lambda x, k: (reference or several)(x, k) * 1, normal((5,)), k=k)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@each_array_backend
def test_numbers_decide_no_dtype(backend: str, dtype: torch.dtype) -> None:
    text = """
        y[n], z, c[n] = f(x[n], w, k=0.3)
        h = exp(k)*2
        y[n] = where(x[n] > 0, exp(1), 1.05)*sqrt(2/pi) + h*erfcx(1) + maximum(x[n], k)*size(n)
        z    = where(w > k, 1, 1/3) + k
        c[n] = 1/3
    """

    def reference(x: torch.Tensor, w: torch.Tensor, k: float) -> Any:
        step = torch.where(x > 0, tensor(x, math.e), tensor(x, 1.05))
        y = step * math.sqrt(2 / math.pi) + 2 * math.exp(k) * 0.427583576155807 + torch.maximum(x, tensor(x, k)) * len(x)
        return y, torch.where(w > k, tensor(x, 1), tensor(x, 1 / 3)) + k, torch.full_like(x, 1 / 3)

    judge(text, backend, reference, normal((5,), (), dtype=dtype))


def test_the_numbers_of_a_where_are_not_rounded_to_float32() -> None:
    """torch takes Python numbers beside a condition as float32."""
    x = torch.tensor([1.0, -1.0], dtype=torch.float64)
    y, _ = module("y[n] = where(x[n] > 0, exp(1), 1.05)", "torch").y_forward(x)
    assert y.tolist() == [math.e, 1.05]


# ---- scalars alone --------------------------------------------------------------------------------------------------------

SCALARS = "z = f(a, b, k=0.3)\nz = a*where(a > k, b, k) + maximum(a, k)*abs(b) + erf(a) + erfcx(b)"


def scalars(a: torch.Tensor, b: torch.Tensor, k: float) -> torch.Tensor:
    return a * torch.where(a > k, b, k) + torch.maximum(a, tensor(a, k)) * abs(b) + torch.erf(a) + torch.special.erfcx(b)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@each_array_backend
def test_all_inputs_may_be_scalars(backend: str, dtype: torch.dtype) -> None:
    for seed in range(3):
        judge(SCALARS, backend, scalars, normal((), (), seed=seed, dtype=dtype))
        judge("z = f(a, b)\nz = a*exp(b)", backend, lambda a, b: a * torch.exp(b), normal((), (), seed=seed, dtype=dtype))


def test_numpy_takes_pythons_numbers_for_scalars() -> None:
    forward = module(SCALARS, "numpy").f_forward
    found, _ = forward(0.5, 2)
    assert found.dtype == np.float64
    assert found == pytest.approx(float(scalars(*torch.tensor([0.5, 2.0], dtype=torch.float64), 0.3)), rel=1e-12)
    assert forward(np.float32(0.5), 2)[0].dtype == np.float32


@each_array_backend
@pytest.mark.parametrize("n", [0, 1, 4])
def test_lengths_may_be_divided_by_whatever_they_are(n: int, backend: str) -> None:
    text = """
        y[d], z = f(x[n, d])
        y[d] = sum[n](x[n, d])*(1/size(n)) + 2/(size(n) - 1) + (size(n) - 1)**(-1/2) + size(n)**(-2) + 1/sqrt(2*size(n))
        z    = mean[n](where(x[n, 1] > 0, 1/(2*size(n)), x[n, 1]/size(n)**2))
    """.replace("x[n, 1]", "sum[d](x[n, d])")

    def reference(x: torch.Tensor) -> Any:
        count = tensor(x, n)
        y = x.sum(0) * (1 / count) + 2 / (count - 1) + (count - 1) ** -0.5 + count**-2 + 1 / torch.sqrt(2 * count)
        row = x.sum(1)
        return y, torch.where(row > 0, 1 / (2 * count), row / count**2).mean()

    judge(text, backend, reference, normal((n, 3)))
