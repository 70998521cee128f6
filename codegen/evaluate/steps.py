"""Names that step together, evaluated one step after the other."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np

from codegen.evaluate.arithmetic import Arithmetic
from codegen.evaluate.trees import Magnitudes, Named
from derive import syntax as st

__all__ = ["Stepwise"]


class Stepwise(Magnitudes):
    """An evaluation that may stand at one step: there the axis of the steps has a single position.

    ``at`` has that position by its axis, and is empty where the evaluation stands at no step. Copies of an evaluation share it.
    The values of the names in ``single`` are of that step alone.
    """

    def __init__(self, op: st.Op, inputs: Mapping[str, Any], constants: Mapping[str, float], arithmetic: Arithmetic):
        super().__init__(op, inputs, constants, arithmetic)
        self.at: dict[str, int] = {}
        self.single: Collection[str] = frozenset()

    def step(
        self, equations: Mapping[str, st.Equation], carries: Mapping[str, st.Carry], define: Callable[[st.Equation], object]
    ) -> None:
        """Define the names of equations, each after those that it reads of its own step, by ``define`` at every step.

        ``carries`` are what the steps hand on, by its names.
        """
        c = next(iter(carries.values()))
        steps = range(self.length(c.axis))[:: -1 if c.down else 1]
        if not steps:
            self._one_step(equations, carries, define, first=True)
            return
        self.single = equations.keys()
        found: dict[str, list[Any]] = {n: [] for n in equations}
        try:
            for self.at[c.axis] in steps:
                self._one_step(equations, carries, define, first=self.at[c.axis] == steps[0])
                for n, values in found.items():
                    values.append(self.values[n])
        finally:
            self.at.clear()
            self.single = frozenset()
        for n, values in found.items():
            self.values[n] = np.concatenate(values[:: steps.step], axis=equations[n].index.index(c.axis))

    def _one_step(
        self,
        equations: Mapping[str, st.Equation],
        carries: Mapping[str, st.Carry],
        define: Callable[[st.Equation], object],
        first: bool,
    ) -> None:
        for n, e in equations.items():
            c = carries.get(n)
            if c is None:
                define(e)
            elif first:
                define(replace(e, rhs=st.Read(c.first, c.rest) if c.first else st.Num(Fraction(0))))
            else:
                self.values[n] = self.values[c.of]

    def spread(self, value: Any, axes: tuple[str, ...], want: tuple[str, ...]) -> Any:
        return self.arithmetic.expand(self.fit(value, axes, want), [1 if i in self.at else self.length(i) for i in want])

    def index(self, index: st.Index) -> Named:
        value, axes = super().index(index)
        return (
            (value[self.at[index] : self.at[index] + 1], axes) if isinstance(index, str) and index in self.at else (value, axes)
        )

    def read(self, name: str, index: tuple[st.Index, ...]) -> Named:
        value, axes = super().read(name, index)
        if self.at and axes == index and name not in self.single:
            value = value[tuple(slice(self.at[i], self.at[i] + 1) if i in self.at else slice(None) for i in axes)]
        return value, axes
