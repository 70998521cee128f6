"""Errors in units in the last place (ULP) of a floating-point format.

``ulp(x)`` is Goldberg's unit, extended to all real numbers: ``2**(max(e, emin) - p + 1)`` where ``2**e <= |x| < 2**(e + 1)``.
Source: Muller et al., Handbook of Floating-Point Arithmetic (2nd edition, 2018), chapter 2, on the ulp function; Muller, On
the definition of ulp(x), INRIA RR-5504 (2005).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import mpmath
import numpy as np

__all__ = ["FORMATS", "Exact", "Format", "errors", "split", "ulp"]


@dataclass(frozen=True)
class Format:
    """A binary format with subnormal numbers: ``precision`` bits, and the exponents of its normal numbers."""

    name: str
    precision: int
    emin: int
    emax: int

    @property
    def unit(self) -> int:
        """The exponent of the smallest ULP, which is the smallest subnormal number."""
        return self.emin - self.precision + 1

    @property
    def largest_unit(self) -> int:
        """The exponent of the largest ULP, that of the largest finite number."""
        return self.emax - self.precision + 1


def _format(name: str) -> Format:
    found = np.finfo(name)
    return Format(name, found.nmant + 1, int(found.minexp), int(found.maxexp) - 1)


FORMATS = {name: _format(name) for name in ("float32", "float64")}


@dataclass(frozen=True)
class Exact:
    """Real numbers in ULPs of a format, each ``(whole + part) * unit``: whole ULPs, and a rest of at most half a ULP.

    All fields are arrays of one shape, ``known`` of bool and the others of float64. ``whole * unit`` is at most the largest
    finite number, so beyond that number ``part`` is larger. ``whole`` is infinite where the number is infinite or far too
    large, and nan where it is undefined. ``known`` is False where the number could not be determined.
    """

    format: Format
    whole: np.ndarray
    part: np.ndarray
    unit: np.ndarray
    known: np.ndarray

    @property
    def lead(self) -> np.ndarray:
        """A neighbouring number of the format: the nearest one, except where a tie was rounded twice."""
        return np.asarray(self.whole * self.unit)

    @property
    def overflows(self) -> np.ndarray:
        """Where rounding to nearest gives an infinity: at half a ULP beyond the largest number or more (a tie goes to even)."""
        unit, most = math.ldexp(1.0, self.format.largest_unit), 2.0**self.format.precision - 1
        beyond = (self.unit == unit) & (np.abs(self.whole) == most) & (np.sign(self.whole) * self.part >= 0.5)
        return np.asarray(np.isinf(self.whole) | beyond)


def _exponent(x: Any, form: Format) -> int:
    """The exponent of the ULP of a finite number, or of one far beyond the largest."""
    mag = mpmath.mag(x)  # 2**(mag - 1) <= |x| < 2**mag
    if not x or mag <= form.emin:
        return form.unit
    return int(min(mag - 1, form.emax)) - form.precision + 1


def ulp(x: Any, form: Format) -> float:
    """The ULP of a real number (a float, an integer or one of mpmath's): never below the smallest subnormal number.

    Beyond the largest finite number, it is the ULP of that number.
    """
    return math.ldexp(1.0, _exponent(x, form))


def split(numbers: Any, form: Format) -> Exact:
    """An array of mpmath's numbers in ULPs of a format; the conversion is too precise to change an error visibly."""
    with np.errstate(all="ignore"):  # mpmath's own float() overflows and underflows on the way
        parts = np.frompyfunc(lambda x: _split(x, form), 1, 3)(numbers)
    whole, part, unit = (np.asarray(p, dtype=np.float64) for p in parts)
    return Exact(form, whole, part, unit, np.ones(whole.shape, dtype=bool))


def _split(x: Any, form: Format) -> tuple[float, float, float]:
    if mpmath.isnan(x):
        return math.nan, 0.0, math.ldexp(1.0, form.unit)
    if mpmath.isinf(x) or mpmath.mag(x) > form.emax + 2:
        return math.copysign(math.inf, x), 0.0, math.ldexp(1.0, form.largest_unit)
    exponent = _exponent(x, form)
    scaled = x.context.ldexp(x, -exponent)
    most = 2**form.precision - 1 if exponent == form.largest_unit else 2**form.precision
    whole = max(-most, min(most, x.context.nint(scaled)))
    return float(whole), float(scaled - whole), math.ldexp(1.0, exponent)


def errors(got: np.ndarray, exact: Exact, unit: np.ndarray | None = None) -> np.ndarray:
    """``|got - exact| / unit``; ``unit`` is by default the ULP of the exact number. All arrays have one shape.

    The error is 0 where both numbers overflow to the same infinity, or both are nan. It is infinite where only one of them does
    so, and nan where the exact number is not known. A finite error beyond float64 becomes float64's largest number.
    """
    value, unit = np.asarray(got, dtype=np.float64), exact.unit if unit is None else unit
    with np.errstate(all="ignore"):
        distance = np.abs((value - exact.lead) / unit - exact.part * (exact.unit / unit))
    distance = np.minimum(distance, np.finfo(np.float64).max)
    same = np.isinf(value) & exact.overflows & (np.sign(value) == np.sign(exact.whole))
    undefined = np.isnan(value) | np.isnan(exact.whole)
    distance = np.where(undefined | np.isinf(value), np.inf, distance)
    distance = np.where(same | (np.isnan(value) & np.isnan(exact.whole)), 0.0, distance)
    return np.where(exact.known, distance, np.nan)
