"""What C needs to know of each way of bringing terms together."""

from __future__ import annotations

from dataclasses import dataclass

from codegen.loops.assignment import Fold


@dataclass(frozen=True)
class CFold:
    """``start`` is the reduction of no term, ``clause`` the operator of a vector loop's reduction.

    ``helpers`` begins the names of those that bring blocks and totals together, ``pick`` is the one that keeps one of two
    numbers, and ``better`` compares them; both are empty where terms are added up.
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
}
