"""Functions of a double where Python raises: infinite on overflow and NaN where undefined, by IEEE 754."""

from __future__ import annotations

import math
from collections.abc import Callable

__all__ = ["ceil", "erfcx", "finite", "floor", "guarded", "log", "log1p", "nearest", "power", "sign", "sinh"]

INF, NAN = math.inf, math.nan


def guarded(function: Callable[[float], float], above: float = NAN) -> Callable[[float], float]:
    """The function, with the value ``above`` where it overflows and NaN where it is undefined."""

    def value(x: float) -> float:
        try:
            return function(x)
        except OverflowError:
            return above
        except ValueError:
            return NAN

    return value


def log(x: float) -> float:
    return math.log(x) if x > 0 else -INF if x == 0 else NAN


def log1p(x: float) -> float:
    return math.log1p(x) if x > -1 else -INF if x == -1 else NAN


def sinh(x: float) -> float:
    return math.sinh(x) if abs(x) < 710 else math.copysign(INF, x) if x == x else NAN


def erfcx(x: float) -> float:
    """``exp(x**2)*erfc(x)``, by a continued fraction where ``exp(x**2)`` overflows. Source: DLMF 7.9.1."""
    if x != x or x < 20:
        return math.exp(x * x) * math.erfc(x) if x > -26 else INF if x == x else NAN
    fraction = x
    for k in range(12, 0, -1):
        fraction = x + k / 2 / fraction
    return 1 / (fraction * math.sqrt(math.pi))


def finite(x: float) -> float:
    return 0.0 if math.isinf(x) else x


def floor(x: float) -> float:
    return float(math.floor(x)) if math.isfinite(x) else x


def ceil(x: float) -> float:
    return -floor(-x)


def nearest(x: float) -> float:
    """The nearest integer, of two the even one."""
    return math.copysign(float(round(x)), x) if math.isfinite(x) else x


def power(x: float, k: float) -> float:
    """``x**k``, NaN for a negative number to a power that is no integer, infinite at a pole."""
    try:
        return math.pow(x, k)
    except OverflowError:
        return -INF if x < 0 and k % 2 else INF
    except ValueError:
        return INF if x == 0 else NAN


def sign(x: float) -> float:
    return NAN if x != x else float(x > 0) - float(x < 0)
