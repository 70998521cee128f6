"""The kinds of arrays in which expressions are evaluated: NumPy's floats, and mpmath's numbers of any precision.

Torch's tensors are in :mod:`codegen.verify.reference`, so that only this module imports torch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import cache, partial
from typing import Any, Protocol

import mpmath
import numpy as np

from derive.functions.records import RECORDS
from derive.functions.special import raised

__all__ = ["Arithmetic", "Mpmath", "Numpy", "nearest"]

Function = Callable[..., Any]


class Arithmetic(Protocol):
    """The operations on arrays that an evaluation needs, beyond ``reshape`` and indexing."""

    functions: dict[str, Function]
    relations: dict[str, Function]
    reductions: dict[str, Function]

    def number(self, value: Fraction | float) -> Any: ...
    def pi(self) -> Any: ...
    def truth(self, value: Any) -> Any: ...
    def arange(self, length: int) -> Any: ...
    def permute(self, value: Any, order: Sequence[int]) -> Any: ...
    def expand(self, value: Any, shape: Sequence[int]) -> Any: ...
    def divide(self, a: Any, b: Any) -> Any: ...
    def power(self, base: Any, exponent: Fraction) -> Any: ...
    def array(self, value: Any) -> Any: ...


class _Arrays:
    """What arrays of floats and arrays of objects share."""

    relations: dict[str, Function] = {
        "<": np.less,
        "<=": np.less_equal,
        ">": np.greater,
        ">=": np.greater_equal,
        "==": np.equal,
        "!=": np.not_equal,
    }
    reductions: dict[str, Function] = {
        "sum": np.sum,
        "mean": np.mean,
        "max": np.max,
        "min": np.min,
        "prod": np.prod,
        "argmax": lambda value, axis: np.argmax(value, *axis),
        "argmin": lambda value, axis: np.argmin(value, *axis),
    }

    def arange(self, length: int) -> Any:
        return np.arange(length)

    def permute(self, value: Any, order: Sequence[int]) -> Any:
        return np.transpose(value, order)

    def expand(self, value: Any, shape: Sequence[int]) -> Any:
        return np.broadcast_to(value, shape)

    def array(self, value: Any) -> Any:
        """The value as an array: NumPy returns a single number where an array without axes is meant."""
        return value if isinstance(value, np.ndarray) else _scalar(value)


class Numpy(_Arrays):
    """Arrays of one floating-point dtype."""

    functions: dict[str, Function] = {
        "exp": np.exp,
        "log": np.log,
        "tanh": np.tanh,
        "sinh": np.sinh,
        "cosh": np.cosh,
        "sin": np.sin,
        "cos": np.cos,
        "atan": np.arctan,
        "erf": lambda x: np.vectorize(math.erf, otypes=[float])(x).astype(np.asarray(x).dtype),
        "erfcx": lambda x: np.vectorize(_erfcx, otypes=[float])(x).astype(np.asarray(x).dtype),
        "expm1": np.expm1,
        "log1p": np.log1p,
        "floor": np.floor,
        "ceil": np.ceil,
        "round": np.rint,
        "stop": lambda x: x,
        "finite": lambda x: np.nan_to_num(x, nan=np.nan, posinf=0, neginf=0),
        "abs": np.abs,
        "sign": np.sign,
        "power": np.power,
        "maximum": np.maximum,
        "minimum": np.minimum,
        "where": np.where,
    }

    def __init__(self, dtype: Any = np.float64):
        self.dtype = np.dtype(dtype)

    def number(self, value: Fraction | float) -> Any:
        return np.asarray(nearest(value), dtype=self.dtype)

    def pi(self) -> Any:
        return self.number(math.pi)

    def truth(self, value: Any) -> Any:
        return np.asarray(value).astype(self.dtype)

    def divide(self, a: Any, b: Any) -> Any:
        return np.divide(a, b)

    def power(self, base: Any, exponent: Fraction) -> Any:
        if exponent == Fraction(1, 2):
            return np.sqrt(base)
        return base ** (int(exponent) if exponent.denominator == 1 else float(exponent))


def _passing_nan(choose: Function) -> Any:
    """``max`` or ``min`` of two arrays of objects. The result is NaN where either is NaN, unlike in Python's own functions."""
    return np.frompyfunc(lambda a, b: a if a != a else b if b != b else choose(a, b), 2, 1)


def _over_axes(choose: Function) -> Function:
    """``max`` or ``min`` over axes of one array of objects, with NaN as in :func:`_passing_nan`."""

    def reduced(value: Any, axis: Sequence[int]) -> Any:
        for k in sorted(axis, reverse=True):
            value = _passing_nan(choose).reduce(value, axis=k)
        return value

    return reduced


class Mpmath(_Arrays):
    """Arrays of mpmath's numbers. Undefined values, such as ``0/0`` or the logarithm of a negative number, are NaN."""

    reductions: dict[str, Function] = {**_Arrays.reductions, "max": _over_axes(max), "min": _over_axes(min)}

    def __init__(self, digits: int = 50):
        self.context = _context(digits)
        self.functions = _functions(digits)
        self._divide = np.frompyfunc(self._quotient, 2, 1)

    def number(self, value: Fraction | float) -> Any:
        if value == math.inf:
            return _scalar(+self.context.inf)
        exact = Fraction(value)
        return _scalar(self.context.mpf(exact.numerator) / exact.denominator)

    def exact(self, values: Any) -> Any:
        """An array of floats as mpmath's numbers, exactly."""
        return self.array(np.frompyfunc(lambda v: self.context.mpf(float(v)), 1, 1)(values))

    def pi(self) -> Any:
        return _scalar(+self.context.pi)

    def truth(self, value: Any) -> Any:
        return np.where(value, self.number(1), self.number(0))

    def divide(self, a: Any, b: Any) -> Any:
        return self._divide(a, b)

    def power(self, base: Any, exponent: Fraction) -> Any:
        return np.frompyfunc(lambda v: self._power(v, exponent), 1, 1)(base)

    def _quotient(self, a: Any, b: Any) -> Any:
        return a / b if b else self.context.nan if not a else self.context.inf * self.context.sign(a)

    def _power(self, base: Any, exponent: Fraction) -> Any:
        if exponent < 0 and not base:
            return self.context.inf
        if exponent.denominator == 1:
            return base ** int(exponent)
        return self.context.nan if base < 0 else base ** (self.context.mpf(exponent.numerator) / exponent.denominator)


def nearest(value: Fraction | float) -> float:
    """The double nearest to a number; an infinity where the number is beyond the range of doubles."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


@cache
def _context(digits: int) -> Any:
    context = mpmath.mp.clone()  # a context of its own, so that nobody else's precision changes
    context.dps = digits
    return context


@cache
def _functions(digits: int) -> dict[str, Function]:
    unary = {name: np.frompyfunc(partial(f.value, _context(digits)), 1, 1) for name, f in RECORDS.items()}
    power = np.frompyfunc(partial(raised, _context(digits)), 2, 1)
    return unary | {"power": power, "maximum": _passing_nan(max), "minimum": _passing_nan(min), "where": np.where}


def _erfcx(x: float) -> float:
    """``exp(x**2)*erfc(x)`` at 50 digits, rounded."""
    context = _context(50)
    return float(RECORDS["erfcx"].value(context, context.mpf(x)))


def _scalar(value: Any) -> Any:
    out = np.empty((), dtype=getattr(value, "dtype", object))
    out[()] = value
    return out
