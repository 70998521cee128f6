"""The equations by which every name of an op, gradients included, follows from the inputs; and the values on one input.

The *closed* system has the planned forward, and the closed forms of the gradients. The *chain* system has the author's
equations, and the adjoint of each by the chain rule. What a recurrence carries is one of the names of both; its equation reads
the step before.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from codegen.chain import chain_statements
from codegen.evaluate.arithmetic import Arithmetic
from codegen.evaluate.steps import Stepwise
from codegen.evaluate.trees import Named
from codegen.program import Kernel
from derive import syntax as st
from derive.derivation import Derivation
from derive.recurrence import adjoint_carries, first_adjoints, parts, shifted

__all__ = ["System", "Values", "chain_system", "closed_system"]


@dataclass(frozen=True, eq=False)
class System:
    """Equations by name, each after the equations whose names it reads, except in ``groups``. It is equal only to itself.

    ``groups`` has, for each name that steps together with others, all these names, first what is ``carried``: they read each
    other's values of the step before.
    """

    op: st.Op
    equations: Mapping[str, st.Equation]
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    carried: Mapping[str, st.Carry] = field(default_factory=dict)

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
        """The names that have to be computed again for ``last``, in order, if the equation of ``first`` has changed.

        Of a group they are all names, ``first`` among them, or none.
        """
        changed = {first}
        out = []
        from_, to = self._rank[first], max(self._rank[n] for n in self.group(last))
        for name, rank in self._rank.items():
            group = [n for n in self.group(name) if n not in given]
            within = name in group and name not in out and rank <= to and (rank > from_ or first in group)
            if within and any(self.reads[n] & changed for n in group):
                changed.update(group)
                out += group
        return out

    def carry(self, equation: st.Equation) -> st.Carry | None:
        """What an equation carries, perhaps an altered one; None where it reads no step before."""
        c = self.carried.get(equation.name)
        known = (c, replace(c, first="")) if c is not None else ()
        return next((k for k in known if equation.rhs == shifted(k)), None)

    def group(self, name: str) -> tuple[str, ...]:
        """The names that step together with a name, which may be the name alone."""
        return self.groups.get(name, (name,))


def closed_system(kernel: Kernel) -> System:
    """The forward and backward of a plan, and the author's equations of names that the plan does not have."""
    found = {s.name: st.Equation(s.name, s.index, s.tree) for s in kernel.forward.statements}
    found |= {e.name: e for e in kernel.op.equations if e.name not in found}
    found |= {s.name: st.Equation(s.name, s.index, s.tree) for s in kernel.backward.statements}
    loops = (*kernel.forward.loops, *kernel.backward.loops)
    planned = [c for loop in loops for c in loop.carries]
    return _system(kernel.op, found, [*planned, *kernel.op.carries])


def chain_system(full: Derivation) -> System:
    """The author's equations, and the adjoint of each by the chain rule."""
    equations = {e.name: e for e in full.op.equations}
    for statements in chain_statements(full).values():
        for s in statements:
            equations.setdefault(s.name, st.Equation(s.name, s.index, s.tree))
    equations |= {e.name: e for e in first_adjoints(full.op)}
    return _system(full.op, equations, [*full.op.carries, *adjoint_carries(full.op)])


def _system(op: st.Op, equations: Mapping[str, st.Equation], carries: Sequence[st.Carry]) -> System:
    """The system of equations and of what they carry; of two carries of one name the first one counts."""
    if not carries:
        return System(op, equations)
    carried = {c.name: c for c in reversed(carries)}
    own = {n: st.Equation(n, c.axes, shifted(c)) for n, c in carried.items()}
    ordered: dict[str, st.Equation] = {}
    groups: dict[str, tuple[str, ...]] = {}
    reads = {n: set(st.reads(e.rhs)) for n, e in equations.items() if n not in own}
    for part in parts(reads, list(carried.values())):
        names = (*(c.name for c in part.carries), *part.names)
        ordered |= {n: own[n] if n in own else equations[n] for n in names}
        groups |= dict.fromkeys(names, names) if part.carries else {}
    return System(op, ordered, groups, carried)


class Values(Stepwise):
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
            self.find({n: self.system.equations[n] for n in self.system.group(name) if n not in self.values})
        return self.values[name]

    def find(self, equations: Mapping[str, st.Equation]) -> None:
        """Find the values of an equation's name, or of names that step together."""
        outside = {n for e in equations.values() for n in st.reads(e.rhs)} - equations.keys()
        for read in outside:
            self.of(read)
        stepping = {n: c for n, e in equations.items() if (c := self.system.carry(e)) is not None and c.of in equations}
        if stepping:
            self.step(equations, stepping, self.define)
        else:
            for e in equations.values():
                self.define(e)

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
        again = self.system.between(equation.name, target, given)
        if equation.name not in again:
            value, axes = other.value(equation.rhs)
            if equation.name == target:
                want = (*(i for i in equation.index if i in {*axes, *self.size}), *(a for a in axes if a not in equation.index))
                return [(other.spread(value, axes, want), want), *([(value, axes)] if len(want) > len(axes) else [])]
            other.values[equation.name] = other.spread(value, axes, equation.index)
        for names in dict.fromkeys(tuple(m for m in self.system.group(n) if m in again) for n in again):
            for read in {r for n in names for r in self.system.reads[n]}.difference(names):
                if read not in other.values:
                    other.values[read], other.axes[read] = self.of(read), self.axes[read]
            other.values = {n: v for n, v in other.values.items() if n not in names}
            other.find({n: equation if n == equation.name else self.system.equations[n] for n in names})
        return [(other.values[target], other.axes[target])]
