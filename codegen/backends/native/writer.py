"""The lines of one function's body, and what is in scope where the next line will stand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from codegen.backends.native.names import Names
from codegen.backends.native.needs import Needs
from codegen.backends.native.scope import Scope
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
    """What the body of a function is written from.

    ``root`` has the one axis of all those of equal length. ``numbers`` are the parameters that come by value: constants, and
    arguments without axes. The rows of ``strided`` arguments may lie apart. ``doubles`` are in double precision: constants, and
    what depends on them only. ``invertible`` values have an inverse whatever they are.
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
        """Whether a value is computed where it is used."""
        return isinstance(self.plan.storage.get(name), Recomputed)

    def axes(self, name: str) -> tuple[str, ...]:
        """The axes of an argument or a value."""
        return self.arguments[name].axes if name in self.arguments else self.assignments[name].index


def context_of(plan: Schedule, root: Mapping[str, str], taken: tuple[Argument, ...], strided: frozenset[str]) -> Context:
    """``taken`` are the arguments as the function takes them, which may have more axes than the schedule knows of."""
    constants = frozenset(c.name for c in plan.program.constants)
    return Context(
        plan=plan,
        root=root,
        numbers=constants | {a.name for a in taken if by_value(a)},
        strided=strided,
        arguments={a.name: a for a in plan.program.arguments},
        assignments={f.name: f for f in reversed(plan.assignments)},
        doubles=_doubles(plan, constants),
        invertible=shifted_sums(plan.assignments),
    )


def _doubles(plan: Schedule, constants: frozenset[str]) -> frozenset[str]:
    """The constants, and the values that depend on them only and live in variables."""
    found = set(constants)
    for f in plan.assignments:
        held = isinstance(plan.storage[f.name], Variable | Recomputed)
        plain = held and isinstance(f.kind, Elementwise) and not f.index
        inside = [n for n in st.walk(f.body) if isinstance(n, st.Read | st.Match | st.Reduce)]
        if plain and all(isinstance(n, st.Read) and n.name in found for n in inside):
            found.add(f.name)
    return frozenset(found)


@dataclass
class Writer:
    """Takes lines one after the other; the names that it hands out are those that the lines use."""

    context: Context
    names: Names
    scope: Scope = field(default_factory=Scope)
    needs: Needs = field(default_factory=Needs)
    lines: list[str] = field(default_factory=list)

    def emit(self, *lines: str) -> None:
        self.lines.extend(lines)

    def helper(self, *names: str) -> None:
        """The lines call these helpers."""
        self.needs.helpers.update(names)

    @contextmanager
    def inside(self, *axes: str) -> Iterator[None]:
        """The body of loops over ``axes``: what is declared there is forgotten after it."""
        kept = self.scope
        self.scope = kept.within(*axes)
        yield
        self.scope = kept

    def hold(self, name: str, index: tuple[st.Index, ...], variable: str) -> None:
        """From here on a variable holds an element."""
        self.scope = self.scope.with_value((name, index), variable)

    # ---- lengths -----------------------------------------------------------------------------------------------------

    def size(self, axis: str) -> str:
        """The length of an axis."""
        axis = st.axis_of(axis)
        return self.names.length(self.context.root.get(axis, axis))

    def count(self, axes: tuple[str, ...]) -> str:
        """The number of elements over axes."""
        return " * ".join(map(self.size, axes)) or "1"

    def factor(self, axes: tuple[str, ...]) -> str:
        """The same as a factor of a product."""
        return f"({self.count(axes)})" if len(axes) > 1 else self.count(axes)

    def head(self, axis: str, count: str = "") -> str:
        """The head of a loop over an axis."""
        i = self.names.index(axis)
        return f"for (int64_t {i} = 0; {i} < {count or self.size(axis)}; ++{i})"

    def flat_index(self, index: tuple[str, ...]) -> str:
        """The position of an element in contiguous memory over exactly these indices."""
        terms = [
            self.names.index(i) if k == len(index) - 1 else f"{self.names.index(i)} * {self.factor(index[k + 1 :])}"
            for k, i in enumerate(index)
        ]
        return " + ".join(terms) or "0"
