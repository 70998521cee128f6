"""The blanks of an exercise: the adjoint of every equation, in the order of the chain rule."""

from __future__ import annotations

from dataclasses import dataclass, replace

from codegen.backends.arrays.discovery import arrays, first
from codegen.chain import chain_source, chain_statements
from codegen.names import named_op
from codegen.source import FunctionSource
from derive import derive_full
from derive import syntax as st

__all__ = ["Blank", "Exercise", "exercise"]


@dataclass(frozen=True)
class Blank:
    """One gradient to find: the equations that read its name, the line by the chain rule, and this line as code."""

    name: str
    index: tuple[str, ...]
    readers: tuple[st.Equation, ...]
    lines: tuple[st.Equation, ...]
    source: FunctionSource

    @property
    def of(self) -> str:
        """The name whose gradient it is."""
        return st.primal_name(self.name)


@dataclass(frozen=True)
class Exercise:
    """The blanks of an op, and the helper functions that the blanks' code calls. Each ``*s`` is a single axis."""

    op: st.Op
    backend: str
    blanks: tuple[Blank, ...]
    helpers: tuple[str, ...]

    def blank(self, name: str) -> Blank:
        """The blank of that name (ValueError if there is none)."""
        for blank in self.blanks:
            if name == blank.name:
                return blank
        raise ValueError(f"no gradient '{name}' in {self.op.name}; there are: {', '.join(b.name for b in self.blanks)}")


def exercise(op: st.Op, backend: str = "") -> Exercise:
    """The exercise of an op in one array backend (default: the backend that needs least)."""
    spelt = arrays(backend) if backend else first()
    op = named_op(replace(op, stars=frozenset()))
    statements = chain_statements(derive_full(op))
    source = chain_source(op, spelt, "", plain=True)
    blanks = []
    for function in source.adjoints:
        lines = tuple(st.Equation(s.name, s.index, s.tree) for s in statements[function.name])
        readers = tuple(e for e in op.equations if st.primal_name(function.name) in set(st.reads(e.rhs)))
        blanks.append(Blank(function.name, lines[-1].index, readers, lines, function))
    return Exercise(op, spelt.name, tuple(blanks), source.helpers)
