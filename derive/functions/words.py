"""The words of the language: what may be called, reduced and compared."""

from __future__ import annotations

from derive.functions.records import RECORDS

__all__ = ["COMPARISONS", "NARY", "ORDERS", "REDUCTIONS", "SUGAR", "cost", "is_function"]

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


def is_function(name: str) -> bool:
    """Whether a word may be called with numbers."""
    return name in RECORDS or name in SUGAR or name in NARY


def cost(head: str) -> int:
    """Rough cost of one evaluation, in floating-point operations; a choice between two numbers is one."""
    return RECORDS[head].cost if head in RECORDS else 1
