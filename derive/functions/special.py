"""Functions that SymPy or mpmath lacks: as SymPy functions, and evaluated at the precision of an mpmath context."""

from __future__ import annotations

from typing import Any

import sympy

__all__ = ["erfcx", "finite", "limited", "nearest", "raised", "scaled_erfc", "stop"]

#: From this argument on the asymptotic series is used. Each of its terms is less than a millionth of the term before.
FAR = 1000
#: mpmath takes as many bits of memory as the exponent of an argument says. No precision tells functions from their limits here.
BITS = 1 << 14


def limited(context: Any, x: Any) -> Any:
    """A real mpmath number; infinite if it has more than ``BITS`` bits before the point."""
    return context.sign(x) * context.inf if context.mag(x) > BITS else x


def scaled_erfc(context: Any, x: Any) -> Any:
    """``exp(x**2)*erfc(x)`` of a real mpmath number. Source: DLMF 7.12.1 for large ``x``."""
    if x < FAR:
        return context.exp(limited(context, x * x)) * context.erfc(limited(context, x))
    if context.isinf(x):
        return context.zero
    ratio, term, total, k = -1 / (2 * x * x), context.one, context.zero, 0
    while abs(term) > context.eps:
        total, term, k = total + term, term * ratio * (2 * k + 1), k + 1
    return total / (x * context.sqrt(context.pi))


def raised(context: Any, x: Any, k: Any) -> Any:
    """``x**k`` of real mpmath numbers, NaN for a negative number to a power that is no integer, infinite at a pole."""
    if context.isnan(x) or context.isnan(k) or (x < 0 and k != context.floor(k)):
        return context.nan
    if not x:
        return context.one if not k else context.zero if k > 0 else context.inf
    return x ** int(k) if k == context.floor(k) and abs(k) < 1 << 14 else context.power(x, k)


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


class nearest(sympy.Function):
    """The nearest integer, of two the even one, as IEEE 754 and every array library round. Constant but for steps."""

    nargs = 1

    def fdiff(self, argindex: int = 1) -> sympy.Expr:
        return sympy.Integer(0)

    def _eval_is_real(self) -> bool | None:
        return self.args[0].is_real

    def _eval_is_nonnegative(self) -> bool | None:
        return True if self.args[0].is_nonnegative else None


class stop(sympy.Function):
    """The identity, through which no gradient passes: its derivative is declared to be 0.

    ``x + stop(round(x) - x)`` has the values of ``round(x)`` and the gradient of ``x``, a straight-through estimator.
    """

    nargs = 1

    def fdiff(self, argindex: int = 1) -> sympy.Expr:
        return sympy.Integer(0)

    def _eval_is_real(self) -> bool | None:
        return self.args[0].is_real

    def _eval_is_positive(self) -> bool | None:
        return self.args[0].is_positive

    def _eval_is_negative(self) -> bool | None:
        return self.args[0].is_negative

    def _eval_is_nonnegative(self) -> bool | None:
        return self.args[0].is_nonnegative

    def _eval_is_nonpositive(self) -> bool | None:
        return self.args[0].is_nonpositive

    def _eval_is_zero(self) -> bool | None:
        return self.args[0].is_zero
