"""The words of the language: its functions, reductions and comparisons."""

from __future__ import annotations

from fractions import Fraction

from derive.functions.records import RECORDS

__all__ = ["COMPARISONS", "LINEAR", "NARY", "ORDERS", "PLACES", "REDUCTIONS", "SUGAR", "cost", "is_function", "power_cost"]

#: Functions of one argument that the parser replaces by other expressions: sqrt(a) by a**(1/2).
SUGAR = frozenset({"sqrt"})
#: Functions of several arguments, with the number of arguments.
#: ``power(a, k)`` is what ``a**k`` stands for where ``k`` is no number but depends on constants of the op.
NARY = {"where": 3, "maximum": 2, "minimum": 2, "power": 2}
REDUCTIONS = ("sum", "mean", "max", "min", "prod", "argmax", "argmin")
#: The reductions that are linear in their terms. Flat terms have sums over bound indices; any other reduction is an atom.
LINEAR = ("sum", "mean")
#: The reductions whose value is a position on the axis that they reduce, by the extremum that stands there.
PLACES = {"argmax": "max", "argmin": "min"}
#: The possible orders of two numbers (``?`` where either is NaN), and for each comparison the orders in which it holds.
ORDERS = frozenset("<=>?")
COMPARISONS = {
    rel: frozenset(orders) for rel, orders in {"<": "<", "<=": "<=", ">": ">", ">=": ">=", "==": "=", "!=": "<>?"}.items()
}


def is_function(name: str) -> bool:
    """Whether a word is a function of the language."""
    return name in RECORDS or name in SUGAR or name in NARY


def power_cost(exponent: int | Fraction) -> int:
    """The approximate cost of one power in floating-point operations: small integer powers are products."""
    return min(abs(exponent.numerator) - 1, 2) if exponent.denominator == 1 else 4


def cost(head: str) -> int:
    """The approximate cost of one evaluation in floating-point operations; 1 for a choice between two numbers."""
    return RECORDS[head].cost if head in RECORDS else 20 if head == "power" else 1
