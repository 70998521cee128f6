"""Numbers as they are written: exact, and of a bounded size."""

from __future__ import annotations

import ast
import math
from fractions import Fraction

from derive.syntax import Add, Div, Mul, Neg, Num, Pow, Tree

#: The largest integer literal, exponent and denominator of an exponent.
LARGEST = 10**6
#: The largest power of two literals, in bits: its exact value must stay cheap.
LARGEST_BITS = 4096


class LiteralError(ValueError):
    """What is wrong with a literal; the reader knows where."""


def literal(node: ast.expr) -> Fraction:
    """A number, possibly negative, as an exact rational: ``1e-5`` is 1/100000 (LiteralError for anything else)."""
    sign = 1
    while isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        sign, node = -sign, node.operand
    # type(), for True is an int and has no meaning here.
    if not (isinstance(node, ast.Constant) and type(node.value) in (int, float)):
        raise LiteralError("expected a number")
    if isinstance(node.value, int):
        if node.value > LARGEST:
            raise LiteralError(f"the integer is beyond {LARGEST}")
        return Fraction(sign * node.value)
    assert isinstance(node.value, float)
    if not math.isfinite(node.value):
        raise LiteralError("the number is not finite")
    return sign * Fraction(repr(node.value))


def power(base: Tree, exponent: Tree) -> Pow:
    """``base**exponent`` with a number for exponent (LiteralError where it is none, or too large)."""
    value = constant_value(exponent)
    if value is None:
        raise LiteralError("an exponent must be a number; write a**b as exp(b*log(a))")
    if abs(value) > LARGEST:
        raise LiteralError(f"the exponent is beyond {LARGEST}")
    if value.denominator > LARGEST:
        raise LiteralError(f"the denominator of the exponent is beyond {LARGEST}")
    number = constant_value(base)
    if number == 0 and value < 0:
        raise LiteralError("division by zero")
    if number is not None and _bits(number) * abs(value) > LARGEST_BITS:
        raise LiteralError(f"the power of numbers needs more than {LARGEST_BITS} bits")
    return Pow(base, Num(value))


def constant_value(tree: Tree) -> Fraction | None:
    """The value of an expression of literals, or None where it reads anything or is irrational."""
    match tree:
        case Num(value):
            return value
        case Neg(arg):
            value_of = constant_value(arg)
            return None if value_of is None else -value_of
        case Add(args) | Mul(args):
            values = [constant_value(a) for a in args]
            known = [v for v in values if v is not None]
            if len(known) < len(values):
                return None
            return sum(known, Fraction(0)) if isinstance(tree, Add) else math.prod(known, start=Fraction(1))
        case Div(a, b):
            num, den = constant_value(a), constant_value(b)
            return None if num is None or not den else num / den
        case Pow(a, b):
            base, exponent = constant_value(a), constant_value(b)
            if base is None or exponent is None or exponent.denominator != 1 or (base == 0 and exponent < 0):
                return None
            return base ** int(exponent)
    return None


def default_text(source: str, value: Fraction) -> str:
    """A constant's default as its author wrote it, where that text is a number by itself (``0x10`` is not)."""
    text = source.replace(" ", "")
    try:
        return text if Fraction(text) == value else str(value)
    except ValueError:
        return str(value)


def _bits(value: Fraction) -> int:
    return max(abs(value.numerator), value.denominator).bit_length() - 1
