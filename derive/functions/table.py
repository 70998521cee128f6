"""The elementwise functions of the language, and what the engine may ask of each: all of it answered by SymPy.

There is no table of derivatives here: :func:`derivative` differentiates with SymPy, and the result comes back as a tree.
"""

from __future__ import annotations

from functools import cache

import sympy
from sympy.codegen.cfunctions import expm1, log1p

from derive.sympy_bridge import erfcx, finite, from_sympy
from derive.syntax import Tree

#: Functions of one argument, by the name used in the language.
UNARY: dict[str, type[sympy.Function]] = {
    "exp": sympy.exp,
    "log": sympy.log,
    "tanh": sympy.tanh,
    "sinh": sympy.sinh,
    "cosh": sympy.cosh,
    "sin": sympy.sin,
    "cos": sympy.cos,
    "atan": sympy.atan,
    "erf": sympy.erf,
    "erfcx": erfcx,
    "expm1": expm1,
    "log1p": log1p,
    "floor": sympy.floor,
    "finite": finite,
    "abs": sympy.Abs,
    "sign": sympy.sign,
}
#: Functions of one argument that are spelled by other parts of the language: sqrt(a) is a**(1/2).
SUGAR = frozenset({"sqrt"})
#: Functions of several arguments, with their number.
NARY = {"where": 3, "maximum": 2, "minimum": 2}
REDUCTIONS = ("sum", "mean", "max", "min")
#: How two numbers may stand to each other, ``?`` where one of them is NaN, and with which of these a comparison holds.
ORDERS = frozenset("<=>?")
COMPARISONS = {
    rel: frozenset(orders) for rel, orders in {"<": "<", "<=": "<=", ">": ">", ">=": ">=", "==": "=", "!=": "<>?"}.items()
}
#: Rough cost of one evaluation, in floating-point operations (measured order of magnitude on vector units).
COST = {"exp": 10, "log": 10, "tanh": 15, "erf": 15, "erfcx": 20}
COST |= dict.fromkeys(("finite", "floor", "abs", "sign", "maximum", "minimum", "where"), 1)
COST_OTHER = 15


@cache
def derivative(head: str) -> Tree:
    """The derivative of a unary function at ``Read("u")``, as a tree. It is 0 for ``floor`` and for ``abs`` at 0."""
    u = sympy.Symbol("u", real=True)
    slope = sympy.diff(UNARY[head](u), u).replace(sympy.DiracDelta, lambda *_: sympy.Integer(0))
    slope = slope.replace(sympy.Subs, lambda *_: sympy.Integer(0)).replace(sympy.Derivative, lambda *_: sympy.Integer(0))
    return from_sympy(slope)


def is_function(name: str) -> bool:
    return name in UNARY or name in SUGAR or name in NARY
