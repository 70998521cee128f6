"""The blanks of an exercise: the adjoint of every equation, in the order of the chain rule."""

from __future__ import annotations

from dataclasses import dataclass, replace

from codegen.backends.arrays.discovery import arrays, first
from codegen.chain import chain_source, chain_statements
from codegen.names import named_op
from codegen.source import FunctionSource
from codegen.tools.workbook.ranks import plainest
from derive import derive_full
from derive import syntax as st
from derive.adjoint import whole_adjoint
from derive.recurrence import opened
from derive.show.steps import handed_on

__all__ = ["Blank", "Exercise", "exercise"]


#: What the functions of an exercise's file refer to beside the names of the op.
FILE = frozenset({"batch", "cmp", "locals", "rng"})


@dataclass(frozen=True)
class Blank:
    """The gradient to find ``of`` a name: the equations that read the name, the line by the chain rule, and its code."""

    name: str
    of: str
    index: tuple[str, ...]
    readers: tuple[st.Equation, ...]
    lines: tuple[st.Equation, ...]
    source: FunctionSource


@dataclass(frozen=True)
class Exercise:
    """The blanks of an op, its forward pass as code, and the helper functions that the code calls.

    ``op`` has no axes ``*s``: there are none where two axes are left without them, and else a single one. ``whole`` is the op
    with each ``*s`` as a single axis, whose gradients are right answers too. A recurrence is opened, so that its blanks are
    those of a step, over all steps at once (:func:`derive.recurrence.opened`). ``handed`` says in sentences what its names for
    what steps hand on are; there are none for other ops.
    """

    op: st.Op
    whole: st.Op
    backend: str
    blanks: tuple[Blank, ...]
    forward: FunctionSource
    helpers: tuple[str, ...]
    handed: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the blanks."""
        return tuple(b.name for b in self.blanks)

    def blank(self, name: str) -> Blank:
        """The blank of that name (ValueError if there is none)."""
        for blank in self.blanks:
            if name == blank.name:
                return blank
        raise ValueError(f"no gradient '{name}' in {self.op.name}; there are: {', '.join(self.names)}")


def exercise(op: st.Op, backend: str = "") -> Exercise:
    """The exercise of an op in one array backend (default: the backend that needs least)."""
    spelt = arrays(backend) if backend else first()
    op = named_op(op, FILE)
    handed, op = tuple(handed_on(op)), opened(op)
    every, op = replace(op, stars=frozenset()), plainest(op)
    full = derive_full(op)
    statements = chain_statements(full)
    known = {t.name for t in op.inputs} | {d.name for d in full.forward}
    whole = {whole_adjoint(t.name, known): t.name for t in op.outputs}
    source = chain_source(op, spelt, "", plain=True)
    blanks = []
    for function in source.adjoints:
        lines = tuple(st.Equation(s.name, s.index, s.tree) for s in statements[function.name])
        of = whole.get(function.name, st.primal_name(function.name))
        readers = tuple(e for e in op.equations if of in set(st.reads(e.rhs)))
        blanks.append(Blank(function.name, of, lines[-1].index, readers, lines, function))
    return Exercise(op, every, spelt.name, tuple(blanks), source.values, source.helpers, handed)
