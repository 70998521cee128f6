"""The elementwise functions on dual numbers: plain definitions, and derivatives as tables of functions have them."""

from __future__ import annotations

import math
from collections.abc import Callable

import mpmath

from tests.systems.dual import BadPoint, Dual, order

ROOT_PI = math.sqrt(math.pi)


def _erfcx(x: float) -> float:
    with mpmath.workdps(40):
        return float(mpmath.exp(mpmath.mpf(x) ** 2) * mpmath.erfc(mpmath.mpf(x)))


#: Each function with its derivative, given the argument and the value.
SMOOTH: dict[str, tuple[Callable[[float], float], Callable[[float, float], float]]] = {
    "exp": (math.exp, lambda x, y: y),
    "expm1": (math.expm1, lambda x, y: math.exp(x)),
    "log": (math.log, lambda x, y: 1 / x),
    "log1p": (math.log1p, lambda x, y: 1 / (1 + x)),
    "tanh": (math.tanh, lambda x, y: 1 / math.cosh(x) ** 2 if abs(x) < 350 else 0.0),
    "sinh": (math.sinh, lambda x, y: math.cosh(x)),
    "cosh": (math.cosh, lambda x, y: math.sinh(x)),
    "sin": (math.sin, lambda x, y: math.cos(x)),
    "cos": (math.cos, lambda x, y: -math.sin(x)),
    "atan": (math.atan, lambda x, y: 1 / (1 + x * x)),
    "erf": (math.erf, lambda x, y: 2 / ROOT_PI * math.exp(-x * x)),
    "erfcx": (_erfcx, lambda x, y: 2 * x * y - 2 / ROOT_PI),
    "sqrt": (math.sqrt, lambda x, y: 0.5 / y),
}
#: Each function that is constant but for steps, and how far its steps are from the integers.
STEPS: dict[str, tuple[Callable[[float], int], float]] = {
    "floor": (math.floor, 0.0),
    "ceil": (math.ceil, 0.0),
    "round": (round, 0.5),
}


#: The terms of derivatives whose formula cancels where the function saturates, as everybody's does: 1 - tanh(x)**2.
TERMS: dict[str, Callable[[float, float], float]] = {
    "tanh": lambda x, y: 1 + y * y,
    "erfcx": lambda x, y: abs(2 * x * y) + 2 / ROOT_PI,
}


#: The sizes of the second derivatives, given the argument, the value and the derivative.
CURVES: dict[str, Callable[[float, float, float], float]] = {
    "exp": lambda x, y, d: d,
    "expm1": lambda x, y, d: d,
    "log": lambda x, y, d: d * d,
    "log1p": lambda x, y, d: d * d,
    "tanh": lambda x, y, d: 2 * y * d,
    "sinh": lambda x, y, d: y,
    "cosh": lambda x, y, d: y,
    "sin": lambda x, y, d: y,
    "cos": lambda x, y, d: y,
    "atan": lambda x, y, d: 2 * x * d * d,
    "erf": lambda x, y, d: 2 * x * d,
    "erfcx": lambda x, y, d: 2 * y + 2 * x * d,
    "sqrt": lambda x, y, d: 0.5 * d / x,
}


def call(head: str, x: Dual) -> Dual:
    """A function of one argument."""
    if head == "abs":
        sign = _sign(x)
        return Dual(abs(x.value), sign * x.slopes, x.size, abs(sign) * x.sizes, hash(("abs", x.key)), x.exact)
    if head == "sign":
        return _flat(float(_sign(x)), x, "sign")
    if head == "stop":
        return Dual(x.value, 0 * x.slopes, x.size, 0 * x.sizes, hash(("stop", x.key)), x.exact)
    if head in STEPS:
        value, at = STEPS[head]
        if not x.exact and abs(x.value + at - round(x.value + at)) < 1e-4 * max(1.0, x.size):
            raise BadPoint(f"next to a step of {head}")
        return _flat(float(value(x.value)), x, head)
    value, slope = SMOOTH[head]
    try:
        y = value(x.value)
        terms, d = TERMS[head](x.value, y) if head in TERMS else 0.0, slope(x.value, y)
        return x.along(y, d, head, terms=terms, curve=CURVES[head](x.value, y, d))
    except (ValueError, OverflowError, ZeroDivisionError):
        raise BadPoint(f"{head} of {x.value}") from None


def _sign(x: Dual) -> int:
    zero = Dual(0.0, 0 * x.slopes, 0.0, 0 * x.sizes, hash(("number", 0.0)), True)
    return order(x, zero)


def _flat(value: float, x: Dual, head: str) -> Dual:
    return Dual(value, 0 * x.slopes, abs(value), 0 * x.sizes, hash((head, x.key)), True)
