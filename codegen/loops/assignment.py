"""One statement of a loop nest: what it computes, over which loops, and of which kind it is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import cached_property

from codegen.loops.matrix import MatrixAxes
from codegen.program import Statement
from derive import syntax as st


class Fold(Enum):
    """How the terms of a reduction are brought together; the values are the language's names."""

    SUM = "sum"
    MEAN = "mean"
    MAX = "max"
    MIN = "min"

    @property
    def adds(self) -> bool:
        """Whether terms are added up, and not compared."""
        return self in (Fold.SUM, Fold.MEAN)


@dataclass(frozen=True)
class Elementwise:
    """The body is the value of each element."""


@dataclass(frozen=True)
class Reduction:
    """The body is reduced over the indices ``over``."""

    fold: Fold
    over: tuple[str, ...]


@dataclass(frozen=True)
class MatrixProduct:
    """The body is a product of two reads, a contraction over ``over`` whose axes have the roles ``axes``."""

    left: st.Read
    right: st.Read
    over: tuple[str, ...]
    axes: MatrixAxes


@dataclass(frozen=True)
class ScatterAdd:
    """The body is summed over ``over``, each term into the row that ``labels`` names."""

    labels: st.Lookup
    over: tuple[str, ...]


@dataclass(frozen=True)
class EntryUpdate:
    """The body is taken from the one entry of each row that ``labels`` names; with ``replaces`` it is put there."""

    labels: st.Lookup
    replaces: bool


Kind = Elementwise | Reduction | MatrixProduct | ScatterAdd | EntryUpdate


@dataclass(frozen=True)
class Assignment:
    """``name[index] = body``, with no reduction in the body.

    ``loops`` are the indices that it runs over, outermost first. ``equation`` is the statement of the program that it is part
    of. A ``result`` is wanted by the caller. What is ``kept`` is never computed again where it is used.
    """

    name: str
    index: tuple[str, ...]
    kind: Kind
    body: st.Tree
    result: bool
    loops: tuple[str, ...]
    equation: Statement
    kept: bool = False

    @property
    def over(self) -> str:
        """The argument that the value is to be written over, if any."""
        return self.equation.over if self.name == self.equation.name else ""

    @property
    def reduced(self) -> tuple[str, ...]:
        """The indices that the body is reduced over."""
        return self.kind.over if isinstance(self.kind, Reduction | MatrixProduct | ScatterAdd) else ()

    @property
    def updates(self) -> bool:
        """Whether it changes a value that is there already."""
        return isinstance(self.kind, EntryUpdate)

    @property
    def opaque(self) -> bool:
        """Whether it has loops of its own, which no other statement shares."""
        return isinstance(self.kind, MatrixProduct | ScatterAdd)

    @cached_property
    def reads(self) -> dict[str, tuple[st.Read, ...]]:
        """The reads in the body by the name that they read; a name that only an index looks up has none."""
        found: dict[str, list[st.Read]] = {name: [] for name in st.reads(self.body)}
        for node in st.walk(self.body):
            if isinstance(node, st.Read):
                found[node.name].append(node)
        return {name: tuple(reads) for name, reads in found.items()}

    @cached_property
    def needs(self) -> frozenset[str]:
        """The names whose values it reads or changes."""
        return frozenset(self.reads) | ({self.name} if self.updates else frozenset())


def fold_of(assignment: Assignment) -> Fold | None:
    """The fold of a reduction that shares its loops with other statements; None for every other kind."""
    return assignment.kind.fold if isinstance(assignment.kind, Reduction) else None
