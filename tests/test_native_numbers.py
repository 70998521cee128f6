"""Numbers in C: whatever reads no tensor is computed in double precision, whatever its shape, and rounded once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction

import mpmath
import numpy as np
import pytest

from codegen.backends.native.numbers import literal
from tests.native_ops import COMPILER, Native, compiled, plainly, units

pytestmark = pytest.mark.skipif(COMPILER is None, reason="needs a C compiler")

#: Expressions of literals, lengths and the constants k and h, with their value as mpmath has it. n is 3.
N, K, H = 3, 0.5, -1.25
mp = mpmath.mp.clone()
mp.dps = 60
third = mp.mpf(1) / 3

RATIONAL = {
    "(2 + 5)/3": Fraction(7, 3),
    "5*3/2": Fraction(15, 2),
    "1/3 - 1/7": Fraction(4, 21),
    "(1 - 3)/(2 + 3*4)*7/2": Fraction(-1, 2),
    "-7/3 - (-(7/2))": Fraction(7, 6),
    "0.7978845608028654": Fraction("0.7978845608028654"),
    "0.044715": Fraction("0.044715"),
    "1e20": Fraction(10) ** 20,
    "1e-20/3": Fraction(1, 3 * 10**20),
    "0.333333333333**2": Fraction("0.333333333333") ** 2,
    "0.1234567890123456789012345678901234567890": Fraction("0.1234567890123456789"),
    "1e308": Fraction(10) ** 308,
    "1e-320": Fraction(1, 10**320),
    "100000*100000*100000/7": Fraction(10**15, 7),
    "999999*999999*999999": Fraction(999999**3),
    "1*2*3*4*5*6*7*8*9*10*11*12*13*14*15*16*17*18*19*20*21": Fraction(51090942171709440000),
    "(2/3)**(-9)": Fraction(3, 2) ** 9,
    "2**100/3": Fraction(2**100, 3),
}

NUMBERS: dict[str, Callable[[], object]] = {
    "exp(1)": lambda: mp.e,
    "exp(1 + 1/2)/3": lambda: mp.exp(1.5) / 3,
    "log(5/2 + 1)*(3/2)": lambda: mp.log(3.5) * 1.5,
    "sqrt(7/3)": lambda: mp.sqrt(mp.mpf(7) / 3),
    "sqrt(2)/sqrt(3)*(5/2)": lambda: mp.sqrt(2) / mp.sqrt(3) * 2.5,
    "2**(1/3)": lambda: mp.cbrt(2),
    "(5/3)**(-2/3)": lambda: (mp.mpf(5) / 3) ** (mp.mpf(-2) / 3),
    "tanh(7/2)/2": lambda: mp.tanh(3.5) / 2,
    "erf(1/2)*pi/4": lambda: mp.erf(0.5) * mp.pi / 4,
    "sin(3/2)*cos(1/2)*atan(7/3)": lambda: mp.sin(1.5) * mp.cos(0.5) * mp.atan(mp.mpf(7) / 3),
    "sinh(1/2)*cosh(3/2)": lambda: mp.sinh(0.5) * mp.cosh(1.5),
    "expm1(-1/3)": lambda: mp.expm1(-third),
    "log1p(1/3)": lambda: mp.log1p(third),
    "abs(-5/3)": lambda: mp.mpf(5) / 3,
    "floor(-7/2)/3": lambda: mp.mpf(-4) / 3,
    "sign(2)/3": lambda: third,
    "sign(-2/3)": lambda: mp.mpf(-1),
    "erfcx(1)": lambda: mp.e * mp.erfc(1),
    "erfcx(-1/3)": lambda: mp.exp(third**2) * mp.erfc(-third),
    "erfcx(30)": lambda: mp.exp(900) * mp.erfc(30),
    "maximum(7, 3)/2": lambda: mp.mpf(3.5),
    "minimum(7/2, 3)": lambda: mp.mpf(3),
    "maximum(1/3, exp(-1))": lambda: mp.exp(-1),
    "where(1/3 > 1/4, 7, 2)/2": lambda: mp.mpf(3.5),
    "where(2 > 3, 7/2, 1/3)": lambda: third,
    "where(2 > 3, 1, 2)/3": lambda: 2 * third,
    "size(n)/2": lambda: mp.mpf(N) / 2,
    "7/(2*size(n))": lambda: mp.mpf(7) / (2 * N),
    "(size(n) - 1)/(size(n) + 2)": lambda: mp.mpf(N - 1) / (N + 2),
    "sqrt(size(n))*size(n)**(-3)": lambda: mp.sqrt(N) / N**3,
    "size(n)**(2/3)/(1 + 2)": lambda: mp.mpf(N) ** (2 * third) / 3,
    "where(size(n) > 5/2, size(n), 1)/2": lambda: mp.mpf(N) / 2,
    "k*7/2": lambda: mp.mpf(K) * 3.5,
    "(k + 1)/3*(2 + 3)": lambda: (mp.mpf(K) + 1) / 3 * 5,
    "3*7*k": lambda: mp.mpf(K) * 21,
    "100000*100000*k": lambda: mp.mpf(K) * 10**10,
    "k**3/h**2": lambda: mp.mpf(K) ** 3 / mp.mpf(H) ** 2,
    "abs(h)": lambda: mp.mpf(1.25),
    "sign(h - k)*sign(k)": lambda: mp.mpf(-1),
    "erfcx(k)*erfcx(h)": lambda: mp.exp(K**2) * mp.erfc(K) * mp.exp(H**2) * mp.erfc(H),
    "maximum(h, k)*minimum(h, 1/3)": lambda: mp.mpf(K * H),
    "where(k > 0, 7, 3)/2": lambda: mp.mpf(3.5),
    "where(h > k/3, k, h)*(1/3)": lambda: mp.mpf(H) / 3,
    "1/(1 + exp(-h))": lambda: 1 / (1 + mp.exp(-H)),
    "exp(k)/(exp(k) + exp(h))": lambda: 1 / (1 + mp.exp(H - K)),
    "floor(7*k/2)*(k/size(n))": lambda: mp.mpf(K) / N,
    "-k/3 - (-h)": lambda: -mp.mpf(K) / 3 + H,
    "1e300*k*1e-300/3": lambda: mp.mpf(K) / 3,
}


@pytest.fixture(scope="module", autouse=True)
def flags() -> Iterator[None]:
    with plainly():
        yield


def system(expressions: list[str], term: str = "x{i}[n]*({e})") -> str:
    """An op with an input and an output for each expression."""
    count = range(len(expressions))
    outputs, inputs = ", ".join(f"y{i}[n]" for i in count), ", ".join(f"x{i}[n]" for i in count)
    equations = [f"y{i}[n] = {term.format(i=i, e=e)}" for i, e in enumerate(expressions)]
    return "\n".join([f"{outputs} = numbers({inputs}, k=0.25, h=0.25)", *equations])


def values(op: Native, dtype: type, ones: float = 1.0) -> dict[str, object]:
    given = {a.name: np.full(N, ones, dtype) for p in (op.kernel.forward, op.kernel.backward) for a in p.arguments}
    return given | {"k": K, "h": H}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_constant_is_computed_in_double_and_rounded_once(dtype: type) -> None:
    """As a factor of 1, forward and backward: to the last bit where it is rational, else to what exp and its like lose."""
    texts = [*RATIONAL, *NUMBERS]
    exact = [mp.mpf(v.numerator) / v.denominator for v in RATIONAL.values()] + [mp.mpf(f()) for f in NUMBERS.values()]
    (op,) = compiled([system(texts)], (32, 64))
    given = values(op, dtype)
    outputs, saved = op.forward(given)
    gradients = op.backward(given | saved)
    for i, (text, want) in enumerate(zip(texts, exact, strict=True)):
        with np.errstate(over="ignore"):
            nearest = dtype(float(want))
        allowed = 0.0 if i < len(RATIONAL) else 4.0 if dtype is np.float64 else 0.5
        for got in (outputs[f"y{i}"], gradients[f"dx{i}"]):
            assert units(got, np.full(N, nearest), dtype) <= allowed, f"{text}: {got[0]!r} instead of {nearest!r}"


BESIDE = {
    "tanh({x} + 5*3/2 - 8)": lambda x: mp.tanh(x - 0.5),
    "0.5*{x}*(1 + tanh(0.7978845608028654*({x} + 0.044715*{x}**3)))": lambda x: (
        x / 2 * (1 + mp.tanh(mp.mpf("0.7978845608028654") * (x + mp.mpf("0.044715") * x**3)))
    ),
    "{x}/(3/7)/3": lambda x: x * 7 / 9,
    "{x}/(2/3 + k)": lambda x: x / (2 * third + K),
    "(3/2)/({x}**2 + 1/3)": lambda x: 1.5 / (x**2 + third),
    "where({x} > 5/2 - 2, 7, 3)/3*{x}": lambda x: x * (7 if x > 0.5 else 3) / 3,
    "where({x} > 1/3, 1, 2)/3": lambda x: mp.mpf(1 if x > third else 2) / 3,
    "where(k > 1/3, {x}/2, 1/3)": lambda x: x / 2,
    "where(h > 0, {x}, 1)": lambda x: mp.mpf(1),
    "maximum({x}, 2/3)": lambda x: max(x, 2 * third),
    "minimum(k, {x}*(4/3))": lambda x: min(mp.mpf(K), x * 4 / 3),
    "maximum({x}, h)*abs(h)": lambda x: max(x, mp.mpf(H)) * 1.25,
    "abs({x})**(5/3)": lambda x: abs(x) ** (5 * third),
    "abs({x})**7": lambda x: abs(x) ** 7,
    "1 + 1/3 + {x}": lambda x: 4 * third + x,
    "3*7*5*{x}/11": lambda x: 105 * x / 11,
    "{x}*1e-30*1e30": lambda x: x,
    "{x}/1e-20*1e-20": lambda x: x,
    "sum[n]({x}*(1/3))/(2 + 5)": lambda x: x / 7,
    "mean[n]({x}/(2/3))*(7/2)": lambda x: x * 21 / 4,
    "max[n]({x}*(2/3))": lambda x: x * 2 * third,
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("at", [0.25, 1.75])
def test_numbers_beside_tensors(dtype: type, at: float) -> None:
    """Forward at a number that both precisions have, and its derivative by mpmath's differences."""
    texts = [e.format(x=f"x{i}[n]") for i, e in enumerate(BESIDE)]
    (op,) = compiled([system(texts, "{e}")])
    given = values(op, dtype, 1.0) | {f"x{i}": np.full(N, at, dtype) for i in range(len(BESIDE))}
    outputs, saved = op.forward(given)
    gradients = op.backward(given | saved)
    together = op.forward_backward(given)
    for i, (text, f) in enumerate(BESIDE.items()):
        want = mp.mpf(f(mp.mpf(at)))
        # A reduction gives every element of y a share in every x: in all, the derivative of the number.
        slope = mp.diff(f, mp.mpf(at))
        for got, exact in ((outputs[f"y{i}"], want), (gradients[f"dx{i}"], slope)):
            assert units(got, np.full(N, float(exact)), dtype) <= 8, f"{text}: {got[0]!r} instead of {float(exact)!r}"
        assert units(together[f"y{i}"], outputs[f"y{i}"], dtype) <= 8
        assert units(together[f"dx{i}"], gradients[f"dx{i}"], dtype) <= 8


@pytest.mark.parametrize("value", [*RATIONAL.values(), Fraction(10**400), -Fraction(10**400), Fraction(1, 10**400)])
def test_a_literal_is_the_double_next_to_the_number(value: Fraction) -> None:
    """Evaluated as C does: a quotient of two doubles, or the one that is written. No integer of more than 31 bits."""
    text = literal(value).code
    number = eval(text.replace("INFINITY", "float('inf')"), {"__builtins__": {"float": float}})
    nearest = mp.mpf(value.numerator) / value.denominator
    assert number == float(nearest)
    assert all(len(part) < 11 for part in text.split() if part.lstrip("-").isdigit())
