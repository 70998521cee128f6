"""Arithmetic of arrays of float64 by IEEE 754, rounded as in a kernel: no operation raises or warns."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from random import Random

import numpy as np
from numpy.typing import NDArray

__all__ = ["Floats", "Round", "Truths", "double", "each", "extreme", "number", "powers", "randomly", "silent", "single"]

INF, NAN = math.inf, math.nan
#: The entries of tensors, one after the other, and what is true of each.
Floats = NDArray[np.float64]
Truths = NDArray[np.bool_]
#: Rounds the entries of an array to the working precision.
Round = Callable[[Floats], Floats]
#: A context, or a decorator, under which overflow, division by 0 and NaN are values as any other.
silent = np.errstate(all="ignore")


def single(values: Floats) -> Floats:
    """The values rounded to float32; values beyond its range become infinite."""
    return values.astype(np.float32).astype(np.float64)


def double(values: Floats) -> Floats:
    """The values unchanged: float64 needs no rounding."""
    return values


def randomly(working: Round, rng: Random) -> Round:
    """A random rounding: to the nearest number of the working precision, or to one of that number's neighbours.

    Source: Parker, Monte Carlo Arithmetic, UCLA technical report CSD-970002 (1997).
    """
    part = 2.0**-23 if working is single else 2.0**-52

    def rounded(values: Floats) -> Floats:
        sides = np.array([rng.choice((-1, 0, 1)) for _ in range(values.size)], dtype=float)
        return working(working(values) * (1 + part * sides))

    return rounded


def number(value: Fraction) -> float:
    """The nearest float64; infinite beyond its range."""
    try:
        return value.numerator / value.denominator
    except OverflowError:
        return INF if value > 0 else -INF


def each(function: Callable[..., float], *columns: Floats) -> Floats:
    """A function of floats, applied at every place. NumPy's own functions round differently from one processor to the next."""
    return np.array(list(map(function, *(column.tolist() for column in columns))), dtype=float)


def power(base: float, exponent: float) -> float:
    if base < 0 and exponent != int(exponent):
        return NAN
    if not base and exponent < 0:
        return INF
    try:
        return float(base**exponent)
    except OverflowError:
        return INF if base > 0 or int(exponent) % 2 == 0 else -INF


def powers(bases: Floats, exponent: float) -> Floats:
    """Each number to the same power."""
    if exponent == 2:
        return bases * bases
    if exponent == -1:
        return np.where(bases == 0, INF, 1 / bases)
    return each(lambda base: power(base, exponent), bases)


def extreme(head: str, a: Floats, b: Floats) -> Floats:
    """The larger (``max``) or the smaller (``min``) of each two numbers, of equal ones ``a``; NaN if either is NaN."""
    chosen = np.where(b > a if head == "max" else b < a, b, a)
    return np.where((a == a) & (b == b), chosen, NAN)
