"""Recognise a product with ``[a = b]``, which is 0 wherever a differs from b, whatever the other factors are."""

from __future__ import annotations

from fractions import Fraction

from codegen.recognise.one_hot import without_match
from derive import syntax as st

__all__ = ["selection"]


def selection(factors: tuple[st.Tree, ...]) -> st.Tree | None:
    """``where(a == b, rest, 0)`` for the product ``rest*[a = b]``; None for other products, and where the rest are numbers.

    The rest may be infinite where a differs from b, and 0 times infinity would be NaN.
    """
    match, rest = without_match(st.Mul(factors), True)
    if match is None or not any(next(st.reads(f), None) for f in rest):
        return None
    return st.Call("where", (match, st.product(rest), st.Num(Fraction(0))))
