"""What a template is given: the parts of one kernel file as code and as text, and nothing to decide."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from derive import syntax as st
from derive.language.unicode import declared, language
from derive.show.solved import in_op
from derive.visible import lines_of


class Code(str):
    """Source that a printer made. A plain ``str`` is text instead, which is escaped for its place in a template."""

    __slots__ = ()


def code(lines: Iterable[str]) -> tuple[Code, ...]:
    """The lines, marked as source."""
    return tuple(map(Code, lines))


def equations(op: st.Op) -> tuple[str, ...]:
    """The op as its author wrote it, comments and all, line by line."""
    return lines_of(op.text) or tuple(
        f"{declared(op, e.name, e.index)} = {language(in_op(op, e.rhs), stars=op.stars)}" for e in op.equations
    )


@dataclass(frozen=True)
class FunctionSource:
    """One function of a kernel file; ``prologue`` checks and prepares the arguments, ``body`` is the mathematics."""

    name: str
    signature: Code
    doc: tuple[str, ...]
    prologue: tuple[Code, ...]
    body: tuple[Code, ...]
    returned: Code


@dataclass(frozen=True)
class TangentSource:
    """What the ``autograd.Function`` of forward mode has of its own: ``setup`` keeps what the Jacobian-vector product reads."""

    class_name: str
    setup: tuple[Code, ...]
    given: Code
    prepare: tuple[Code, ...]
    call: Code
    returned: Code


@dataclass(frozen=True)
class DifferentiableSource:
    """The ``autograd.Function`` around a kernel: its names, argument lists and index bookkeeping as text.

    ``apart`` are the results again; in it a result that is a view of a tensor made in the forward is a tensor of its own.
    ``plain`` is the forward by itself. ``wanted`` names the gradients that autograd asks for; it is "" where there is only one.
    ``moving`` are the inputs that have a gradient, and ``tangent`` is the class of forward mode; None where there is no such
    class. ``context``, ``given`` and ``made`` are the names that the class has for torch's ``ctx``, ``inputs`` and ``output``.
    """

    name: str
    class_name: str
    signature: Code
    doc: tuple[str, ...]
    arguments: Code
    forward: Code
    result: Code
    apart: Code
    context: str
    given: str
    made: str
    setup: tuple[Code, ...]
    upstream: Code
    prepare: tuple[Code, ...]
    wanted: Code
    recompute: Code
    backward: Code
    plain: Code
    returned: Code
    picked: Code
    moving: Code
    tangent: TangentSource | None = None


@dataclass(frozen=True)
class FileSource:
    """One kernel file."""

    title: str
    command: str
    equations: tuple[str, ...]
    source: str
    imports: tuple[str, ...]
    exports: tuple[str, ...]
    helpers: tuple[str, ...]
    functions: tuple[FunctionSource, ...]
    differentiable: DifferentiableSource | None = None
