"""Scalar arithmetic by IEEE 754 where Python raises: division by 0, overflow, roots of negative numbers."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable
from fractions import Fraction
from operator import mul, truediv
from random import Random

__all__ = ["Round", "double", "extreme", "number", "power", "powers", "quotients", "randomly", "single"]

INF, NAN = math.inf, math.nan
#: Rounds the entries of an array to the working precision.
Round = Callable[[list[float]], list[float]]


def single(values: list[float]) -> list[float]:
    """The values rounded to float32; values beyond its range become infinite."""
    return array("f", values).tolist()


def double(values: list[float]) -> list[float]:
    """The values unchanged: float64 needs no rounding."""
    return values


def randomly(working: Round, rng: Random) -> Round:
    """A random rounding: to the nearest number of the working precision, or to one of that number's neighbours.

    Source: Parker, Monte Carlo Arithmetic, UCLA technical report CSD-970002 (1997).
    """
    part = 2.0**-23 if working is single else 2.0**-52

    def rounded(values: list[float]) -> list[float]:
        return working([v * (1 + part * rng.choice((-1, 0, 1))) for v in working(values)])

    return rounded


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
    """The quotients of two lists, element by element."""
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
    """Each number to the same power."""
    if exponent == 2:
        return list(map(mul, bases, bases))
    if exponent == -1:
        return [1 / v if v else INF for v in bases]
    return [power(v, exponent) for v in bases]


def extreme(choose: Callable[[float, float], float], a: float, b: float) -> float:
    """The larger or the smaller of two numbers, by ``choose``; NaN if either is NaN."""
    return choose(a, b) if a == a and b == b else NAN
