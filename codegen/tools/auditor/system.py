"""The equations by which every name of an op, gradients included, follows from the inputs; and the values on one input.

The *closed* system has the planned forward, and the closed forms of the gradients. The *chain* system has the author's
equations, and the adjoint of each by the chain rule.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from codegen.chain import chain_statements
from codegen.evaluate.arithmetic import Arithmetic
from codegen.evaluate.trees import Magnitudes, Named
from codegen.program import Kernel
from derive import syntax as st
from derive.derivation import Derivation

__all__ = ["System", "Values", "chain_system", "closed_system"]


@dataclass(frozen=True, eq=False)
class System:
    """Equations by name, each after the equations whose names it reads. A system is equal only to itself."""

    op: st.Op
    equations: Mapping[str, st.Equation]

    @cached_property
    def reads(self) -> dict[str, frozenset[str]]:
        """The names that each equation reads."""
        return {name: frozenset(st.reads(e.rhs)) for name, e in self.equations.items()}

    def behind(self, name: str, given: Collection[str]) -> Iterator[str]:
        """The names that a name is computed from, itself first and the nearest next. The search stops at ``given`` names."""
        waiting, seen = [name], {name}
        while waiting:
            at = waiting.pop(0)
            if at in self.equations and (at == name or at not in given):
                yield at
                new = sorted(self.reads[at] - seen, key=lambda n: -self._rank.get(n, -1))
                seen.update(new)
                waiting += new

    @cached_property
    def _rank(self) -> dict[str, int]:
        return {name: k for k, name in enumerate(self.equations)}

    def between(self, first: str, last: str, given: Collection[str]) -> list[str]:
        """The names that have to be computed again for ``last``, in order, if the equation of ``first`` has changed."""
        changed = {first}
        out = []
        for name in self.equations:
            if self._rank[first] < self._rank[name] <= self._rank[last] and name not in given and self.reads[name] & changed:
                changed.add(name)
                out.append(name)
        return out


def closed_system(kernel: Kernel) -> System:
    """The forward and backward of a plan, and the author's equations of names that the plan does not have."""
    found = {s.name: st.Equation(s.name, s.index, s.tree) for s in kernel.forward.statements}
    found |= {e.name: e for e in kernel.op.equations if e.name not in found}
    return System(kernel.op, found | {s.name: st.Equation(s.name, s.index, s.tree) for s in kernel.backward.statements})


def chain_system(full: Derivation) -> System:
    """The author's equations, and the adjoint of each by the chain rule."""
    equations = {e.name: e for e in full.op.equations}
    for statements in chain_statements(full).values():
        for s in statements:
            equations.setdefault(s.name, st.Equation(s.name, s.index, s.tree))
    return System(full.op, equations)


class Values(Magnitudes):
    """The values of a system on one input, each computed when it is first asked for."""

    def __init__(self, system: System, inputs: Mapping[str, Any], constants: Mapping[str, float], arithmetic: Arithmetic):
        super().__init__(system.op, inputs, constants, arithmetic)
        self.system = system
        self.bounds: dict[str, float] = {}

    def replaced(self, values: Mapping[str, Any], axes: Mapping[str, tuple[str, ...]]) -> Values:
        """Values of the system in which these names have these values, and no other value is computed yet."""
        other = copy.copy(self)
        other.values, other.axes, other.bounds = dict(values), {**self.axes, **axes}, {}
        return other

    def of(self, name: str) -> Any:
        """The value of a name (KeyError if the system has none of that name)."""
        if name not in self.values:
            equation = self.system.equations[name]
            for read in self.system.reads[name]:
                self.of(read)
            self.define(equation)
        return self.values[name]

    def bound(self, name: str) -> float:
        """The largest finite sum of absolute terms of a name's equation, over the entries of the name."""
        if name not in self.bounds:
            self.of(name)
            found = np.abs(np.asarray(self.magnitude(self.system.equations[name].rhs)[0], dtype=float))
            self.bounds[name] = float(found[np.isfinite(found)].max(initial=0.0))
        return self.bounds[name]

    def altered(self, equation: st.Equation, target: str, given: Collection[str]) -> list[Named]:
        """The target's value, and its axes, with ``equation`` in place of the system's own equation of that name.

        Where the altered equation has lost an axis, the value is given with this axis and without.
        """
        other = copy.copy(self)
        other.values, other.axes = dict(self.values), dict(self.axes)
        for name in st.reads(equation.rhs):
            self.of(name)
            other.values[name], other.axes[name] = self.values[name], self.axes.get(name, ())
        value, axes = other.value(equation.rhs)
        if equation.name == target:
            want = (*(i for i in equation.index if i in axes or i in self.size), *(a for a in axes if a not in equation.index))
            return [(other.spread(value, axes, want), want), *([(value, axes)] if len(want) > len(axes) else [])]
        other.values[equation.name] = other.spread(value, axes, equation.index)
        for name in self.system.between(equation.name, target, given):
            for read in self.system.reads[name]:
                if read not in other.values:
                    other.values[read], other.axes[read] = self.of(read), self.axes[read]
            other.define(self.system.equations[name])
        return [(other.values[target], self.system.equations[target].index)]
