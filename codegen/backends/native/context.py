"""The context in which a function's body is written; it does not change while lines are written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from codegen.loops.assignment import Assignment, Elementwise
from codegen.loops.schedule import Schedule
from codegen.loops.shifted import shifted_sums
from codegen.loops.storage import Recomputed, Variable
from codegen.program import Argument
from derive import syntax as st


def by_value(a: Argument) -> bool:
    """Whether a kernel takes an argument as a number and not as a pointer."""
    return not a.axes and a.labels is None


@dataclass(frozen=True)
class Context:
    """What is known of a function before its body is written.

    ``assignments`` has, for each name, the statement that computes it; a later statement that updates an entry is not in it.
    ``root`` maps each axis to the axis that stands for all axes of its length. ``numbers`` are the parameters passed by value:
    constants, and arguments without axes. ``strided`` are the arguments and results whose rows may lie apart. ``doubles`` are
    the names in double precision: constants, and values that depend on constants only. ``invertible`` are the names whose
    inverse is finite for all inputs.
    """

    plan: Schedule
    root: Mapping[str, str]
    numbers: frozenset[str]
    strided: frozenset[str]
    arguments: Mapping[str, Argument]
    assignments: Mapping[str, Assignment]
    doubles: frozenset[str]
    invertible: frozenset[str]

    def recomputed(self, name: str) -> bool:
        """Whether a value is rematerialised where it is used."""
        return isinstance(self.plan.storage.get(name), Recomputed)

    def axes(self, name: str) -> tuple[str, ...]:
        """The axes of an argument or a value."""
        return self.arguments[name].axes if name in self.arguments else self.assignments[name].index


def context_of(plan: Schedule, root: Mapping[str, str], taken: tuple[Argument, ...], strided: frozenset[str]) -> Context:
    """The context of a schedule. ``taken`` are the function's arguments, whose ``*s`` the schedule may lack."""
    constants = frozenset(c.name for c in plan.program.constants)
    return Context(
        plan=plan,
        root=root,
        numbers=constants | {a.name for a in taken if by_value(a)},
        strided=strided,
        arguments={a.name: a for a in plan.program.arguments},
        assignments={f.name: f for f in reversed(plan.assignments)},  # the first of each name
        doubles=_doubles(plan, constants),
        invertible=shifted_sums(plan.assignments),
    )


def _doubles(plan: Schedule, constants: frozenset[str]) -> frozenset[str]:
    """The constants, and the values that depend on constants only and need no memory."""
    found = set(constants)
    for f in plan.assignments:
        held = isinstance(plan.storage[f.name], Variable | Recomputed)
        plain = held and isinstance(f.kind, Elementwise) and not f.index
        inside = [n for n in st.walk(f.body) if isinstance(n, st.Read | st.Position | st.Match | st.Reduce)]
        if plain and all(isinstance(n, st.Read) and n.name in found for n in inside):
            found.add(f.name)
    return frozenset(found)
