"""The sum of the absolute values of a formula's terms, relative to which the formula's rounding error is measured."""

from __future__ import annotations

import copy
from typing import Any

from codegen.evaluate.trees import Magnitudes, Named
from codegen.program import Program, Statement
from codegen.tools.auditor.system import Values
from derive import syntax as st

__all__ = ["sums_of_terms"]


def sums_of_terms(values: Values, program: Program) -> dict[str, Any]:
    """For each result of a program, the formula's value with every term of its sums taken in absolute value.

    A term that reads another sum of the program counts with that sum's own terms in absolute value. The program's arguments
    count with their values.
    """
    terms = _Terms(values)
    for s in program.statements:
        values.of(s.name)
        terms.bound(s)
    return {name: terms.bounds.values[name] for name in program.results}


class _Terms(Magnitudes):
    def __init__(self, values: Values):
        super().__init__(values.op, {t.name: values.values[t.name] for t in values.op.inputs}, {}, values.arithmetic)
        self.values, self.axes, self.size = values.values, values.axes, values.size
        self.bounds = copy.copy(self)
        self.bounds.values = dict(values.values)
        self.bounded: set[str] = set()

    def bound(self, statement: Statement) -> None:
        """Compute the sum of absolute terms of a statement, which later statements then read."""
        value, axes = self.magnitude(statement.tree)
        self.bounds.values[statement.name] = self.spread(value, axes, statement.index)
        self.bounded.add(statement.name)

    def magnitude(self, tree: st.Tree) -> Named:
        if isinstance(tree, st.Read) and tree.name in self.bounded:
            return self.bounds.read(tree.name, tree.index)
        value, axes = super().magnitude(tree)
        return self.arithmetic.array(value), axes
