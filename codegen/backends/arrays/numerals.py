"""Numbers in Python source: as a literal, as an expression that Python evaluates, or as a value of floating point."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from codegen.backends.arrays.spelling import ATOM, MUL, NEG, Text, negated
from codegen.evaluate.arithmetic import Numpy, nearest
from codegen.evaluate.trees import Evaluation
from derive import syntax as st
from derive.language.literals import constant_value

__all__ = ["MATH", "double", "is_count", "is_literal", "known_number", "literal_value", "number"]

#: The largest integer that is written with all its digits, and the largest parts of a fraction that is written ``1 / 3``.
LARGEST_INTEGER, LARGEST_PART = 10**6, 1000
#: Python's own functions of numbers, by the names that the ops' language has for them.
MATH = {h: f"math.{h}" for h in "exp log tanh sinh cosh sin cos atan erf expm1 log1p floor ceil".split()}
MATH |= {"abs": "abs", "round": "round", "power": "pow"}

_NOTHING = st.Op(name="", inputs=(), outputs=(), constants=(), equations=())


def number(value: Fraction) -> Text:
    """The double nearest to a rational: an integer or a fraction of small integers as such, any other in the fewest digits."""
    if value < 0:
        return negated(number(-value))
    if value.denominator == 1 and value <= LARGEST_INTEGER:
        return Text(str(value.numerator))
    decimal = nearest(value)
    if math.isinf(decimal):
        return double(decimal)
    if Fraction(repr(decimal)) != value and max(value.numerator, value.denominator) <= LARGEST_PART:
        return Text(f"{value.numerator} / {value.denominator}", MUL)
    return double(decimal)


def double(value: float) -> Text:
    """A double in the fewest digits, infinities and NaN included."""
    if math.isnan(value):
        return Text("math.nan")
    return Text(repr(value) if math.isfinite(value) else "-math.inf" if value < 0 else "math.inf", NEG if value < 0 else ATOM)


def is_literal(tree: st.Tree) -> bool:
    """Whether an expression reads no tensor, no constant and no length."""
    return not any(isinstance(n, (st.Read, st.Position, st.Size, st.Match, st.Reduce)) for n in st.walk(tree))


def is_count(tree: st.Tree) -> bool:
    """Whether an expression of numbers and lengths is never negative."""
    match tree:
        case st.Num(v):
            return v >= 0
        case st.Const() | st.Size():
            return True
        case st.Add(args) | st.Mul(args):
            return all(map(is_count, args))
        case st.Div(a, b):
            return is_count(a) and is_count(b)
        case st.Pow(a, _):
            return is_count(a)
    return False


def known_number(tree: st.Tree) -> Fraction | None:
    """The value of an expression of numbers, exact if it is rational, else as a double.

    None where the value is not finite, and for any other expression.
    """
    value = constant_value(tree)
    if value is None and is_literal(tree) and not isinstance(tree, st.Compare):
        found = literal_value(tree)
        return Fraction(found) if math.isfinite(found) else None
    return value


def literal_value(tree: st.Tree) -> float:
    """The value of a literal expression in double precision, inf and NaN included."""
    with np.errstate(all="ignore"):
        value, _ = Evaluation(_NOTHING, {}, {}, Numpy()).value(tree)
    return float(value)
