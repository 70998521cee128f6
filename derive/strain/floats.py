"""Scalar arithmetic as IEEE 754 has it, where Python raises: a quotient by zero, an overflow, a root of a negative number."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable
from fractions import Fraction
from operator import mul, truediv

__all__ = ["FUNCTIONS", "Round", "double", "extreme", "number", "power", "powers", "quotients", "single"]

INF, NAN = math.inf, math.nan
#: Rounds the entries of an array to the working precision.
Round = Callable[[list[float]], list[float]]


def single(values: list[float]) -> list[float]:
    """The values rounded to float32; what is too large is infinite."""
    return array("f", values).tolist()


def double(values: list[float]) -> list[float]:
    """The values as they are."""
    return values


def number(value: Fraction) -> float:
    """The nearest float64; infinite beyond its range."""
    try:
        return value.numerator / value.denominator
    except OverflowError:
        return INF if value > 0 else -INF


def quotient(a: float, b: float) -> float:
    if b:
        return a / b
    if not a or a != a or b != b:
        return NAN
    return math.copysign(INF, a) * math.copysign(1.0, b)


def quotients(a: list[float], b: list[float]) -> list[float]:
    """The quotients of two columns."""
    return list(map(truediv if all(b) else quotient, a, b))


def power(base: float, exponent: float) -> float:
    if base < 0 and exponent != int(exponent):
        return NAN
    if not base and exponent < 0:
        return INF
    try:
        return float(base**exponent)
    except OverflowError:
        return INF if base > 0 or int(exponent) % 2 == 0 else -INF


def powers(bases: list[float], exponent: float) -> list[float]:
    """Each number to one power."""
    if exponent == 2:
        return list(map(mul, bases, bases))
    if exponent == -1:
        return [1 / v if v else INF for v in bases]
    return [power(v, exponent) for v in bases]


def extreme(choose: Callable[[float, float], float], a: float, b: float) -> float:
    """The larger or the smaller of two numbers; NaN if one of them is."""
    return choose(a, b) if a == a and b == b else NAN


def _guarded(function: Callable[[float], float], above: float = NAN) -> Callable[[float], float]:
    """The function with ``above`` where it overflows and NaN where it is undefined."""

    def value(x: float) -> float:
        try:
            return function(x)
        except OverflowError:
            return above
        except ValueError:
            return NAN

    return value


def _log(x: float) -> float:
    return math.log(x) if x > 0 else -INF if x == 0 else NAN


def _log1p(x: float) -> float:
    return math.log1p(x) if x > -1 else -INF if x == -1 else NAN


def _sinh(x: float) -> float:
    return math.sinh(x) if abs(x) < 710 else math.copysign(INF, x) if x == x else NAN


def _erfcx(x: float) -> float:
    """``exp(x**2)*erfc(x)``, by its continued fraction where the product overflows. Source: DLMF 7.9.1."""
    if x != x or x < 20:
        return math.exp(x * x) * math.erfc(x) if x > -26 else INF if x == x else NAN
    fraction = x
    for k in range(12, 0, -1):
        fraction = x + k / 2 / fraction
    return 1 / (fraction * math.sqrt(math.pi))


#: Functions of one argument by their names in the language.
FUNCTIONS: dict[str, Callable[[float], float]] = {
    "exp": _guarded(math.exp, INF),
    "expm1": _guarded(math.expm1, INF),
    "log": _log,
    "log1p": _log1p,
    "tanh": math.tanh,
    "sinh": _sinh,
    "cosh": _guarded(math.cosh, INF),
    "sin": _guarded(math.sin),
    "cos": _guarded(math.cos),
    "atan": math.atan,
    "erf": math.erf,
    "erfcx": _erfcx,
    "abs": abs,
    "sign": lambda x: NAN if x != x else float((x > 0) - (x < 0)),
    "finite": lambda x: 0.0 if math.isinf(x) else x,
    "floor": lambda x: float(math.floor(x)) if math.isfinite(x) else x,
}
