"""What the planner hands to a backend: the statements of a kernel over named axes, still free of any backend."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from derive import syntax as st
from derive.strain.verdict import Loss


class Role(Enum):
    """What a tensor is to a kernel. What is temporary is gone when it returns."""

    INPUT = "input"
    UPSTREAM = "upstream"
    SAVED = "saved"
    OUTPUT = "output"
    TEMPORARY = "temporary"


@dataclass(frozen=True)
class Argument:
    """An argument of a kernel: a tensor, what it is, and whether the op's text calls it an integer tensor."""

    name: str
    axes: tuple[str, ...]
    role: Role
    labels: str | None = None


@dataclass(frozen=True)
class Statement:
    """``name[index] = tree``. ``role`` says whether the value is an output, saved for the backward, or temporary.

    ``over`` is an argument whose memory the value may take, so it is computed after everything else that reads it.
    """

    name: str
    index: tuple[str, ...]
    tree: st.Tree
    role: Role
    over: str = ""


@dataclass(frozen=True)
class Program:
    """One kernel: its arguments, the constants with their defaults, its statements in order, and what it returns.

    ``star`` is the axis that stands for zero or more axes of the caller ("" if there is none). Where ``collapsed``, the
    arguments that carry it are first reshaped so that it is a single axis, and the results reshaped back. ``accurate`` asks a
    backend for its best roundings where they cost time.
    """

    name: str
    arguments: tuple[Argument, ...]
    constants: tuple[st.Constant, ...]
    statements: tuple[Statement, ...]
    results: tuple[str, ...]
    star: str
    collapsed: bool
    accurate: bool = False


@dataclass(frozen=True)
class Kernel:
    """The forward and the backward program of an op, what the one saves for the other, and where digits are lost."""

    op: st.Op
    forward: Program
    backward: Program
    saved: tuple[st.Tensor, ...]
    losses: tuple[Loss, ...] = ()
