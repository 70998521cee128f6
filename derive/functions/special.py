"""Functions that SymPy or mpmath lacks: as SymPy functions, and evaluated at the precision of an mpmath context."""

from __future__ import annotations

from typing import Any

import sympy

__all__ = ["erfcx", "finite", "scaled_erfc"]

#: From this argument on the asymptotic series is used. Each of its terms is less than a millionth of the term before.
FAR = 1000


def scaled_erfc(context: Any, x: Any) -> Any:
    """``exp(x**2)*erfc(x)`` of a real mpmath number. Source: DLMF 7.12.1 for large ``x``."""
    if x < FAR:
        return context.exp(x * x) * context.erfc(x)
    if context.isinf(x):
        return context.zero
    ratio, term, total, k = -1 / (2 * x * x), context.one, context.zero, 0
    while abs(term) > context.eps:
        total, term, k = total + term, term * ratio * (2 * k + 1), k + 1
    return total / (x * context.sqrt(context.pi))


class erfcx(sympy.Function):
    """``exp(u**2)*erfc(u)``, the scaled complementary error function, which SymPy does not have. Positive for real ``u``.

    Source: DLMF 7.2; its derivative is ``2*u*erfcx(u) - 2/sqrt(pi)``.
    """

    nargs = 1

    def fdiff(self, argindex: int = 1) -> sympy.Expr:
        (u,) = self.args
        return 2 * u * erfcx(u) - 2 / sympy.sqrt(sympy.pi)

    def _eval_is_positive(self) -> bool | None:
        return True if self.args[0].is_extended_real else None

    def _eval_is_real(self) -> bool | None:
        return self.args[0].is_real


class finite(sympy.Function):
    """The identity on real numbers. In floating point, 0 for an infinity.

    So a shift by a maximum that may be infinite keeps differences defined: ``-inf - finite(-inf)`` is ``-inf``.
    """

    nargs = 1

    def fdiff(self, argindex: int = 1) -> sympy.Expr:
        return sympy.Integer(1)

    def _eval_is_real(self) -> bool | None:
        return self.args[0].is_real
