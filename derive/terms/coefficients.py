"""A check that float64 can hold every coefficient. Numbers of several equations may multiply to a single coefficient."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from derive.errors import OpError
from derive.language.literals import GREATEST, LEAST
from derive.terms.sums import Sum


def check_coefficients(op: str, expressions: Iterable[tuple[str, Sum]]) -> None:
    """Check every term of the named expressions (OpError where a coefficient overflows in float64, or underflows to 0)."""
    for name, body in expressions:
        for coefficient in body.terms.values():
            if abs(coefficient) > GREATEST:
                raise OpError(_message(name, coefficient, "beyond what float64 holds"), op=op)
            if 0 < abs(coefficient) < LEAST:
                raise OpError(_message(name, coefficient, "too small for float64, where it becomes 0"), op=op)


def _message(name: str, value: Fraction, problem: str) -> str:
    digits = len(str(abs(value.numerator))) - len(str(value.denominator))
    return f"the numbers that come together in '{name}' make one of about 1e{digits:+d}, {problem}"
