"""The parameters of a C function, and its call with arguments in arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from codegen.backends.native.context import by_value
from codegen.backends.native.machine import scheduled
from codegen.backends.native.names import Names
from codegen.backends.native.programs import axes_of
from codegen.loops.assignment import MatrixProduct, WindowProduct
from codegen.loops.loop import assignments_in
from codegen.loops.schedule import Schedule
from codegen.program import Argument, Program
from derive import syntax as st
from derive.language.axes import equal_axes


@dataclass(frozen=True)
class Parameter:
    """A parameter of a function: its type, in which ``{real}`` stands for the precision, and its name."""

    type: str
    name: str


@dataclass(frozen=True)
class Signature:
    """The parameters of a function, and what they follow from.

    ``axes`` are the axes whose lengths the function takes. ``root`` maps each axis to the axis that stands for all axes of its
    length. ``strided`` are the arguments whose rows may lie apart, ``placed`` the results. ``rows`` is the name of the variant
    without a star.
    """

    op: st.Op
    program: Program
    root: Mapping[str, str]
    axes: tuple[str, ...]
    strided: frozenset[str]
    rows: str
    names: Names
    parameters: tuple[Parameter, ...]
    placed: frozenset[str] = frozenset()

    @property
    def star(self) -> str:
        """The axis whose length parameter is the star's length."""
        return self.root.get(self.program.star, self.program.star)

    @property
    def results(self) -> tuple[str, ...]:
        """The results that the function writes, without repetition."""
        return tuple(dict.fromkeys(self.program.results))

    def without_star(self) -> tuple[Parameter, ...]:
        """The parameters without the length of the star."""
        return tuple(p for p in self.parameters if p.name != self.names.length(self.star))


def signature(op: st.Op, program: Program, placed: frozenset[str] = frozenset()) -> Signature:
    """The parameters of the function of a program. The rows of the results ``placed`` lie where the caller says."""
    rows = f"{program.name}_rows"
    root = equal_axes(op)
    strided = frozenset[str]() if program.loops else _strided(program, scheduled(program))
    axes, names = axes_of(op, program), Names(program, [rows])
    parameters = tuple(_parameters(program, axes, strided | placed, names))
    return Signature(op, program, root, axes, strided, rows, names, parameters, placed)


def _strided(program: Program, plan: Schedule) -> frozenset[str]:
    """The arguments whose rows may lie apart: all but those of which a matrix product takes several axes as one axis."""
    together: set[str] = set()
    for f, _ in assignments_in(plan.body):
        if isinstance(f.kind, WindowProduct):
            together.add(f.kind.weights.name)
        if isinstance(f.kind, MatrixProduct):
            roles = f.kind.axes
            wide = {a for g in (roles.rows, roles.columns, roles.inner) if len(g) > 1 for a in g}
            together |= {r.name for r in (f.kind.left, f.kind.right) if wide & {str(i) for i in r.index}}
    return frozenset(a.name for a in program.arguments if _has_rows(a) and a.name not in together)


def _has_rows(a: Argument) -> bool:
    """Whether an argument has rows: a floating-point argument of two axes or more."""
    return a.labels is None and len(a.axes) > 1


def _parameters(program: Program, axes: tuple[str, ...], strided: frozenset[str], names: Names) -> Iterator[Parameter]:
    """The parameters in order: lengths, arguments with their strides, constants, results."""
    for axis in axes:
        yield Parameter("int64_t ", names.length(axis))
    for a in program.arguments:
        yield Parameter("const int64_t *" if a.labels else "{real} " if by_value(a) else "const {real} *", names.tensor(a.name))
        if a.name in strided:
            yield Parameter("const int64_t *", names.strides(a.name))
    for c in program.constants:
        yield Parameter("double ", names.tensor(c.name))
    for r in dict.fromkeys(program.results):
        yield Parameter("{real} *", names.tensor(r))
        if r in strided:
            yield Parameter("const int64_t *", names.strides(r))


def declared(parameters: tuple[Parameter, ...], real: str) -> str:
    """The parameters as C declares them, in one precision."""
    return ", ".join(p.type.replace("{real}", real) + p.name for p in parameters)


def packed(s: Signature) -> str:
    """The arguments of a call that takes them from arrays."""
    parts = [f"size[{k}]" for k in range(len(s.axes))]
    for k, a in enumerate(s.program.arguments):
        parts.append(f"*(const real *)data[{k}]" if by_value(a) else f"data[{k}]")
        parts += [f"strides[{k}]"] * (a.name in s.strided)
    parts += [f"constants[{k}]" for k in range(len(s.program.constants))]
    first = len(s.program.arguments)
    parts += [f"data[{first + k}]" for k in range(len(s.results))]
    return ", ".join(parts)


def scattered(s: Signature) -> str:
    """A condition in C that is true if an argument that must be contiguous is not."""
    dense = (k for k, a in enumerate(s.program.arguments) if len(a.axes) > 1 and a.name not in s.strided)
    return " || ".join(f"strides[{k}]" for k in dense)
