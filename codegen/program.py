"""What the planner hands to a backend: the statements of a kernel, over named axes and in no backend's terms."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from derive import syntax as st
from derive.labels import Guard, guard_of
from derive.strain.verdict import Loss
from derive.terms.factoring import DEFAULT_SIZE


class Role(Enum):
    """What a tensor is to a kernel. A temporary does not outlive the call."""

    INPUT = "input"
    UPSTREAM = "upstream"
    SAVED = "saved"
    OUTPUT = "output"
    TEMPORARY = "temporary"


@dataclass(frozen=True)
class Argument:
    """An argument of a kernel: a tensor with its axes and its role.

    ``labels`` is the axis whose indices an integer tensor holds, None for a floating-point tensor. Labels are looked up only
    where one of the ``guards`` holds (:data:`derive.labels.Guard`), everywhere if there is none. A saved tensor is 0 where a
    condition on indices in ``support`` does not hold.
    """

    name: str
    axes: tuple[str, ...]
    role: Role
    labels: str | None = None
    guards: Guard = ()
    support: tuple[st.Compare, ...] = ()

    @property
    def indexed(self) -> str | None:
        """The axis that the values index; None where they index none."""
        return None if self.labels in (st.WHOLE, st.TRUTH) else self.labels


def taken(op: st.Op, t: st.Tensor) -> Argument:
    """An input of an op as an argument of its kernels."""
    return Argument(t.name, t.axes, Role.INPUT, t.labels, guard_of(op, t.name) if t.indexed else ())


def ranked(op: st.Op) -> tuple[str, ...]:
    """The axes of an op by their lengths at the reference sizes, the longest first.

    Of equal lengths, an axis of an output comes before one that inputs alone have: the output of a convolution is longer than
    its kernel. An axis that no tensor has comes last.
    """
    sizes = dict(op.sizes)
    axes = dict.fromkeys(a for tensors in (op.outputs, op.inputs) for t in tensors for a in t.axes)
    return tuple(sorted(axes, key=lambda a: -sizes.get(a, DEFAULT_SIZE)))


def outputs_of(op: st.Op, found: Any) -> list[Any]:
    """The outputs in what a forward or a differentiable op gives, without the positions behind them."""
    return [found] if len(op.results) == 1 else list(found)[: len(op.outputs)]


@dataclass(frozen=True)
class Statement:
    """``name[index] = tree``. ``role`` says whether the value is an output, saved for the backward, or temporary.

    ``over`` is the argument that is donated to the value: the value may be written over it, and is therefore computed after
    every other statement that reads the argument. It is "" where no argument is donated.
    """

    name: str
    index: tuple[str, ...]
    tree: st.Tree
    role: Role
    over: str = ""

    @property
    def kept(self) -> bool:
        """Whether the value outlives the call."""
        return self.role is not Role.TEMPORARY


def looks_up(statements: Iterable[Statement], labels: str) -> bool:
    """Whether a statement looks labels up. Otherwise they are at most compared with other integers."""
    nodes = (n for s in statements for n in st.walk(s.tree))
    return any(isinstance(n, (st.Read, st.Match)) and labels in st.reads(n) for n in nodes)


@dataclass(frozen=True)
class Loop:
    """Statements that are computed step by step along an axis, up or ``down`` it, and what each step hands to the next one.

    ``names`` are those of the statements, which stand side by side in their program.
    """

    axis: str
    down: bool
    carries: tuple[st.Carry, ...]
    names: tuple[str, ...]

    def with_parts(self, groups: Iterable[Sequence[str]]) -> Loop:
        """The loop with those names that stand in a group with one of its own."""
        return replace(self, names=tuple(n for group in groups if set(group) & set(self.names) for n in group))


@dataclass(frozen=True)
class Program:
    """One kernel: its arguments, the constants with their defaults, its statements in order, and what it returns.

    ``star`` is the axis that stands for zero or more axes of the caller ("" if there is none). With ``collapsed``, arguments
    that have ``star`` are first reshaped so that it is a single axis, and the results are reshaped back. ``accurate`` asks a
    backend to round as little as it can, even where that costs time. ``kinks`` are the functions with a kink that stand in the
    author's equations. ``ranked`` are the axes, those first that are presumably longest (:func:`ranked`). ``equal`` has axes of
    the same length as another axis, each with that axis. ``loops`` are over steps of recurrences. ``shifts`` are the carries
    that have a statement: they are read over all steps. ``part`` says what the program is if it is a part of another one.
    """

    name: str
    arguments: tuple[Argument, ...]
    constants: tuple[st.Constant, ...]
    statements: tuple[Statement, ...]
    results: tuple[str, ...]
    star: str
    collapsed: bool
    accurate: bool = False
    kinks: frozenset[str] = frozenset()
    ranked: tuple[str, ...] = ()
    equal: tuple[tuple[str, str], ...] = ()
    loops: tuple[Loop, ...] = ()
    shifts: tuple[st.Carry, ...] = ()
    part: str = ""

    def looks_up(self, labels: str) -> bool:
        return looks_up(self.statements, labels)

    @property
    def backward(self) -> bool:
        """Whether the program is a linear map of what is given beside what the forward saved: the backward, or the tangent."""
        return any(a.role is Role.UPSTREAM for a in self.arguments)


def given_tangents(program: Program) -> list[str]:
    """The names of the tangents that the program of a Jacobian-vector product is given, one for each floating-point input."""
    return [a.name for a in program.arguments if a.role is Role.UPSTREAM]


@dataclass(frozen=True)
class Kernel:
    """The programs of an op, the tensors that the forward saves, and where digits are lost.

    ``tangent`` is the program of the Jacobian-vector product, given what the forward saved; None if there is none.
    """

    op: st.Op
    forward: Program
    backward: Program
    saved: tuple[st.Tensor, ...]
    losses: tuple[Loss, ...] = ()
    tangent: Program | None = None

    @property
    def programs(self) -> tuple[Program, ...]:
        """The forward, the backward, and the tangent if there is one."""
        return (self.forward, self.backward, *([self.tangent] if self.tangent else []))
