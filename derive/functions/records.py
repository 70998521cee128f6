"""The elementwise functions of one argument, with everything about each function that no backend changes.

Each backend has a table of spellings. Derivatives are not here: :func:`derive.sympy_bridge.derivative` takes them from SymPy,
and the certificate compares them with a table that is independent of SymPy (:func:`derive.certify.numbers.slope`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sympy
from sympy.codegen.cfunctions import expm1, log1p

from derive.functions import doubles, special

__all__ = ["RECORDS", "Elementwise"]


@dataclass(frozen=True)
class Elementwise:
    """A function of one argument. ``name`` is its name in the language.

    * ``symbol``: the SymPy function, from which derivatives and signs come.
    * ``value``: the value, from an mpmath context and a real number; infinite at a pole, NaN where undefined.
    * ``double``: the same value from a float.
    * ``cost``: floating-point operations of one evaluation, a measured order of magnitude on vector units.
    * ``latex``: the operator in LaTeX; "" for the name in upright letters.
    * ``powers``: whether powers are typeset as in sin^2(x).
    * ``steps``: whether the function is constant but for steps.
    * ``stem``: how the engine's names for values of the function begin; "" for the first letter of ``name``.
    """

    name: str
    symbol: type[sympy.Function]
    value: Callable[[Any, Any], Any]
    double: Callable[[float], float]
    cost: int = 15
    latex: str = ""
    powers: bool = False
    steps: bool = False
    stem: str = ""


def _log(context: Any, x: Any) -> Any:
    return context.log(x) if x > 0 else -context.inf if not x else context.nan


def _log1p(context: Any, x: Any) -> Any:
    return context.log1p(x) if x > -1 else -context.inf if x == -1 else context.nan


def _finite(context: Any, x: Any) -> Any:
    return context.zero if context.isinf(x) else x


def _own(name: str) -> Callable[[Any, Any], Any]:
    """mpmath's function of that name, with its limit as the value of numbers beyond any range."""
    return lambda context, x: getattr(context, name)(special.limited(context, x))


_ALL = (
    Elementwise("exp", sympy.exp, _own("exp"), doubles.guarded(math.exp, math.inf), cost=10, stem="e"),
    Elementwise("log", sympy.log, _log, doubles.log, cost=10, latex=r"\log", powers=True),
    Elementwise("tanh", sympy.tanh, _own("tanh"), math.tanh, latex=r"\tanh", powers=True),
    Elementwise("sinh", sympy.sinh, _own("sinh"), doubles.sinh, latex=r"\sinh", powers=True),
    Elementwise("cosh", sympy.cosh, _own("cosh"), doubles.guarded(math.cosh, math.inf), latex=r"\cosh", powers=True),
    Elementwise("sin", sympy.sin, _own("sin"), doubles.guarded(math.sin), latex=r"\sin", powers=True),
    Elementwise("cos", sympy.cos, _own("cos"), doubles.guarded(math.cos), latex=r"\cos", powers=True),
    Elementwise("atan", sympy.atan, _own("atan"), math.atan, latex=r"\arctan"),
    Elementwise("erf", sympy.erf, _own("erf"), math.erf),
    Elementwise("erfcx", special.erfcx, special.scaled_erfc, doubles.erfcx, cost=20, stem="tail"),
    Elementwise("expm1", expm1, _own("expm1"), doubles.guarded(math.expm1, math.inf)),
    Elementwise("log1p", log1p, _log1p, doubles.log1p),
    Elementwise("floor", sympy.floor, lambda context, x: context.floor(x), doubles.floor, cost=1, steps=True),
    Elementwise("ceil", sympy.ceiling, lambda context, x: context.ceil(x), doubles.ceil, cost=1, steps=True),
    Elementwise("round", special.nearest, lambda context, x: context.nint(x), doubles.nearest, cost=1, steps=True),
    Elementwise("stop", special.stop, lambda _, x: x, lambda x: x, cost=0),
    Elementwise("finite", special.finite, _finite, doubles.finite, cost=1),
    Elementwise("abs", sympy.Abs, lambda _, x: abs(x), abs, cost=1),
    Elementwise("sign", sympy.sign, lambda context, x: context.sign(x), doubles.sign, cost=1, steps=True),
)
#: The records by name, in the order in which messages list them.
RECORDS: dict[str, Elementwise] = {f.name: f for f in _ALL}
