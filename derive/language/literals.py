"""Numbers of the text as exact rationals of bounded size, with checks that float64 can hold them."""

from __future__ import annotations

import ast
import math
import re
import sys
from fractions import Fraction

import mpmath

from derive.functions.records import RECORDS
from derive.functions.special import raised, scaled_erfc
from derive.syntax import Add, Call, Const, Div, Mul, Neg, Num, Pow, Tree

#: The largest absolute value of an exponent.
LARGEST = 10**6
#: The largest denominator of an exponent: enough for every decimal with no more digits than float64 has.
LARGEST_DENOMINATOR = 10**18
#: The largest size in bits of a power of two literals, whose exact value must stay cheap.
LARGEST_BITS = 4096

MP = mpmath.mp.clone()
MP.dps = 40
#: The largest float64, and the number from which downwards float64 rounds to 0.
GREATEST, LEAST = Fraction(sys.float_info.max), Fraction(math.ulp(0.0)) / 2


class LiteralError(ValueError):
    """A literal that is no number, or that float64 cannot hold. The reader of the text adds line and column."""


def literal(node: ast.expr, text: str) -> Fraction:
    """A number of the text, which may have a sign, as an exact rational: ``1e-5`` is 1/100000.

    LiteralError: the node is no number, or a number of more than the bounded size.
    """
    sign = 1
    while isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        sign, node = -sign if isinstance(node.op, ast.USub) else sign, node.operand
    # type() and not isinstance(): True is an int too, and no number of the language.
    if not (isinstance(node, ast.Constant) and type(node.value) in (int, float)):
        raise LiteralError(_no_number(node))
    if isinstance(node.value, int):
        if node.value > GREATEST:
            raise LiteralError("the integer is beyond what float64 holds, 1.8e308")
        return Fraction(sign * node.value)
    assert isinstance(node.value, float)
    if not math.isfinite(node.value):
        raise LiteralError("the number is beyond what float64 holds, 1.8e308")
    if not node.value and re.search("[1-9]", (ast.get_source_segment(text, node) or "").lower().partition("e")[0]):
        raise LiteralError("the number is too small for float64, where it becomes 0; the smallest is 5e-324")
    return sign * Fraction(repr(node.value))


def _no_number(node: ast.expr) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return "expected a number; a text in quotation marks has no meaning here, and a comment begins with '#'"
    if isinstance(node, ast.Constant) and isinstance(node.value, complex):
        return "expected a number; complex ones are not part of the language"
    if isinstance(node, ast.Constant) and isinstance(node.value, bool):
        return f"expected a number; write {int(node.value)}"
    if isinstance(node, ast.BinOp):
        return "expected a number, written out: 0.5 instead of 1/2"
    return "expected a number"


def power(base: Tree, exponent: Tree) -> Pow:
    """``base**exponent`` (LiteralError if the exponent is no number, or too large)."""
    value = constant_value(exponent)
    if value is None:
        raise LiteralError("an exponent must be a number or a constant; write a**b as exp(b*log(a))")
    if abs(value) > LARGEST:
        raise LiteralError(f"the exponent is beyond {LARGEST}")
    if value.denominator > LARGEST_DENOMINATOR:
        raise LiteralError(f"the denominator of the exponent is beyond {LARGEST_DENOMINATOR}")
    number = constant_value(base)
    if number == 0 and value < 0:
        raise LiteralError("division by zero")
    if number is not None and _bits(number) * abs(value) > LARGEST_BITS:
        raise LiteralError(f"the power of numbers needs more than {LARGEST_BITS} bits")
    return Pow(base, Num(value))


def constant_value(tree: Tree) -> Fraction | None:
    """The rational value of an expression of literals; None if the expression reads a name or is irrational."""
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
    """A constant's default as its author wrote it if that is a plain number, else in plain form (for ``0x10``)."""
    text = source.replace(" ", "")
    try:
        return text if Fraction(text) == value else str(value)
    except ValueError:
        return str(value)


def _bits(value: Fraction) -> int:
    return max(abs(value.numerator), value.denominator).bit_length() - 1


# ---- functions of numbers -------------------------------------------------------------------------------------------------


def check_number(tree: Tree) -> None:
    """Check that float64 holds an expression of numbers (LiteralError for ``log(0)``, ``exp(1000)``, ``1e200**2``)."""
    _held(tree)


def _held(tree: Tree) -> mpmath.mpf | None:
    """The value of an expression of numbers, with each of its parts checked; None if the expression reads a name."""
    args = _parts(tree)
    if args is None:
        return None
    known = list[mpmath.mpf]()
    for a in args:
        if (held := _held(a)) is not None:
            known.append(held)
        elif not isinstance(tree, Mul):
            return None
    if isinstance(tree, Mul) and len(known) > 1:  # the numbers among the factors are multiplied first
        _check(MP.fprod(known))
    if len(known) < len(args):
        return None
    try:
        value = _value(tree, known)
    except (ValueError, ZeroDivisionError, OverflowError):
        value = MP.nan
    if isinstance(value, MP.mpc) or MP.isnan(value) or (isinstance(tree, Call | Pow) and MP.isinf(value)):
        raise LiteralError(f"{_written(tree, known)} has no value")
    return _check(value)


def _check(value: mpmath.mpf) -> mpmath.mpf:
    if abs(value) > MP.mpf(sys.float_info.max):
        raise LiteralError(f"the number {MP.nstr(value, 4)} is beyond what float64 holds, 1.8e308")
    if value and abs(value) < MP.mpf(math.ulp(0.0)) / 2:
        raise LiteralError(f"the number {MP.nstr(value, 4)} is too small for float64, where it becomes 0")
    return value


def _parts(tree: Tree) -> tuple[Tree, ...] | None:
    """The operands of an expression that may have a constant value; None for any other expression."""
    match tree:
        case Num() | Const():
            return ()
        case Neg(a):
            return (a,)
        case Add(args) | Mul(args):
            return args
        case Div(a, b) | Pow(a, b):
            return (a, b)
        case Call(head, args) if head != "where":
            return args
    return None


def _value(tree: Tree, args: list[mpmath.mpf]) -> mpmath.mpf:
    match tree:
        case Num(value):
            return MP.mpf(value.numerator) / value.denominator
        case Const():
            return +MP.pi
        case Neg():
            return -args[0]
        case Add():
            return MP.fsum(args)
        case Mul():
            return MP.fprod(args)
        case Div():
            return args[0] / args[1]
        case Pow():
            return args[0] ** args[1]
        case Call("power"):
            return raised(MP, *args)
        case Call("maximum"):
            return max(args)
        case Call("minimum"):
            return min(args)
        case Call("abs"):
            return abs(args[0])
        case Call("erfcx"):
            return scaled_erfc(MP, args[0])
        case Call(head):
            if head in ("exp", "expm1", "sinh", "cosh"):  # overflow too, decided without computing the value
                return getattr(MP, head)(max(min(args[0], 10**4), -(10**4)))
            return RECORDS[head].value(MP, args[0])
    raise TypeError(f"no value for {tree}")


def _written(tree: Tree, args: list[mpmath.mpf]) -> str:
    values = [MP.nstr(a, 6).removesuffix(".0") for a in args]
    match tree:
        case Call(head):
            return f"{head}({', '.join(values)})"
        case Pow():
            return f"sqrt({values[0]})" if values[1] == "0.5" else f"{values[0]}**{values[1]}"
    return "the number"
