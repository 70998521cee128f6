"""How C spells each way of combining the terms of a reduction."""

from __future__ import annotations

from dataclasses import dataclass

from codegen.loops.assignment import Fold


@dataclass(frozen=True)
class CFold:
    """A fold in C. ``start`` is the value for no terms; ``clause`` is the operator in OpenMP's reduction clause.

    ``helpers`` is the prefix of the helpers that combine blocks and totals. ``pick`` is the helper that returns the extremum of
    two numbers, and ``better`` the operator that compares them; both are "" for folds that do not compare.
    """

    start: str
    clause: str
    helpers: str
    pick: str = ""
    better: str = ""


FOLDS = {
    Fold.SUM: CFold("0", "+", "sum"),
    Fold.MEAN: CFold("0", "+", "sum"),
    Fold.MAX: CFold("-INFINITY", "max", "max", "larger", ">"),
    Fold.MIN: CFold("INFINITY", "min", "min", "smaller", "<"),
    Fold.PROD: CFold("1", "*", "prod"),
}
