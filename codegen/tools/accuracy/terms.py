"""The sum of the absolute values of a formula's terms, relative to which the formula's rounding error is measured."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from codegen.evaluate.steps import Stepwise
from codegen.evaluate.trees import Named
from codegen.program import Loop, Program, Statement
from codegen.steps import whole
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
    stepping = {n: loop for loop in program.loops for n in loop.names}
    for s in program.statements:
        if (loop := stepping.get(s.name)) is None:
            terms.bound(st.Equation(s.name, s.index, s.tree))
        elif s.name == loop.names[0]:
            terms.bound_steps(loop, [s for s in program.statements if s.name in loop.names])
    return {name: terms.bounds.values[name] for name in program.results}


class _Terms(Stepwise):
    def __init__(self, values: Values):
        super().__init__(values.op, {t.name: values.values[t.name] for t in values.op.inputs}, {}, values.arithmetic)
        self.values, self.axes, self.size = values.values, values.axes, values.size
        self.bounds = copy.copy(self)
        self.bounds.values = dict(values.values)
        self.bounded: set[str] = set()

    def bound(self, equation: st.Equation) -> None:
        """Compute the sum of absolute terms of an equation, which later ones then read."""
        value, axes = self.magnitude(equation.rhs)
        self.bounds.values[equation.name] = self.spread(value, axes, equation.index)
        self.bounded.add(equation.name)

    def bound_steps(self, loop: Loop, statements: Sequence[Statement]) -> None:
        """Compute those of the statements of a loop, step by step."""
        every = {s.name: s for s in (*map(whole, loop.carries), *statements)}
        equations = {s.name: st.Equation(s.name, s.index, s.tree) for s in every.values()}
        self.bounds.step(equations, {c.name: c for c in loop.carries}, self.bound)

    def magnitude(self, tree: st.Tree) -> Named:
        if isinstance(tree, st.Read) and tree.name in self.bounded:
            return self.bounds.read(tree.name, tree.index)
        value, axes = super().magnitude(tree)
        return self.arithmetic.array(value), axes
