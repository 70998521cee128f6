"""Functions that mpmath does not have, at the precision of a context."""

from __future__ import annotations

from typing import Any

__all__ = ["scaled_erfc"]

#: From here on the asymptotic series is used: each term is less than a millionth of the one before.
FAR = 1000


def scaled_erfc(context: Any, x: Any) -> Any:
    """``exp(x**2)*erfc(x)`` of a real number of mpmath's. Source: DLMF 7.12.1 for large ``x``."""
    if x < FAR:
        return context.exp(x * x) * context.erfc(x)
    if context.isinf(x):
        return context.zero
    ratio, term, total, k = -1 / (2 * x * x), context.one, context.zero, 0
    while abs(term) > context.eps:
        total, term, k = total + term, term * ratio * (2 * k + 1), k + 1
    return total / (x * context.sqrt(context.pi))
