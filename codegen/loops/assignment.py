"""One statement of a loop nest: what it computes, its loops, and its kind."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import cached_property

from codegen.loops.matrix import MatrixAxes
from codegen.program import Statement
from codegen.recognise.rows import Row
from codegen.recognise.window import Slide
from derive import syntax as st


class Fold(Enum):
    """How a reduction combines its terms; the values are the names in the ops' language."""

    SUM = "sum"
    MEAN = "mean"
    MAX = "max"
    MIN = "min"
    PROD = "prod"

    @property
    def adds(self) -> bool:
        """Whether terms are added."""
        return self in (Fold.SUM, Fold.MEAN)

    @property
    def compares(self) -> bool:
        """Whether terms are compared."""
        return self in (Fold.MAX, Fold.MIN)


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
    """The body is summed over ``over``; each term is added to the row that ``labels`` selects."""

    labels: st.Lookup
    over: tuple[str, ...]


@dataclass(frozen=True)
class EntryUpdate:
    """One entry of each row, selected by ``labels``, is changed: the body is subtracted, or with ``replaces`` stored there."""

    labels: st.Lookup
    replaces: bool


@dataclass(frozen=True)
class RunningSum:
    """The sum or product of the body up to each position of the index ``along``, or, if ``falling``, from each position on.

    If ``strict``, the position itself takes no part.
    """

    along: str
    falling: bool
    fold: Fold = Fold.SUM
    strict: bool = False


@dataclass(frozen=True)
class WindowProduct:
    """A convolution or a gradient of one, as matrix products.

    It is a contraction of two of three tensors, which gives the third: ``image`` has the inner indices of the slides, ``frame``
    the outer ones, ``weights`` the taps. ``column`` are the taps and the indices of the image that the frame lacks, in the
    weights' order; ``row`` is the index of the frame that the image lacks.
    """

    over: tuple[str, ...]
    image: st.Read
    frame: st.Read
    weights: st.Read
    row: str
    column: tuple[str, ...]


Kind = Elementwise | Reduction | MatrixProduct | ScatterAdd | RunningSum | WindowProduct | EntryUpdate


@dataclass(frozen=True)
class Assignment:
    """``name[index] = body``, with no reduction in the body.

    ``loops`` are the indices of its loops, outermost first. ``equation`` is the program's statement that it is a part of. A
    ``result`` is returned to the caller. A value that is ``kept`` is never rematerialised. With ``slides``, it is a reduction
    over the points at which these hold: a slide's inner index has no loop, and the loop over its outer index has bounds. With
    ``rows``, there is something to do only where these hold: they bound its loops.
    """

    name: str
    index: tuple[str, ...]
    kind: Kind
    body: st.Tree
    result: bool
    loops: tuple[str, ...]
    equation: Statement
    kept: bool = False
    slides: tuple[Slide, ...] = ()
    rows: tuple[Row, ...] = ()

    @property
    def over(self) -> str:
        """The argument that is donated to the value; "" where there is none."""
        return self.equation.over if self.name == self.equation.name else ""

    @property
    def reduced(self) -> tuple[str, ...]:
        """The indices that the body is reduced over."""
        if isinstance(self.kind, RunningSum):
            return (self.kind.along,)
        return self.kind.over if isinstance(self.kind, Reduction | MatrixProduct | ScatterAdd | WindowProduct) else ()

    @property
    def scoped(self) -> frozenset[str]:
        """The loops at or inside of which a reduction is not complete."""
        return frozenset({*self.reduced, *(s.outer for s in self.slides)})

    @property
    def moves(self) -> frozenset[str]:
        """The loops with which the element moves that a statement computes."""
        return frozenset({*self.index, *(i for s in self.slides if s.inner in self.index for i in (s.outer, *s.taps))})

    def slide(self, axis: str) -> Slide | None:
        """The slide that bounds the loop over an axis."""
        return next((s for s in self.slides if s.outer == axis), None)

    def bounds(self, axis: str) -> tuple[Row, ...]:
        """The rows that bound the loop over an axis."""
        return tuple(row for row in self.rows if row.bound(self.loops) == axis)

    @property
    def updates(self) -> bool:
        """Whether the statement changes entries of a value that is computed already."""
        return isinstance(self.kind, EntryUpdate)

    @property
    def opaque(self) -> bool:
        """Whether the statement has loops that no other statement shares."""
        return isinstance(self.kind, MatrixProduct | ScatterAdd | RunningSum | WindowProduct)

    @cached_property
    def reads(self) -> dict[str, tuple[st.Read, ...]]:
        """The reads in the body, by the name that is read. A name that only an index looks up has an empty tuple."""
        found: dict[str, list[st.Read]] = {name: [] for name in st.reads(self.body)}
        for node in st.walk(self.body):
            if isinstance(node, st.Read):
                found[node.name].append(node)
        return {name: tuple(reads) for name, reads in found.items()}

    @cached_property
    def needs(self) -> frozenset[str]:
        """The names whose values the statement reads or changes."""
        return frozenset(self.reads) | ({self.name} if self.updates else frozenset())


def fold_of(assignment: Assignment) -> Fold | None:
    """The fold of an assignment of kind :class:`Reduction`; None for every other kind."""
    return assignment.kind.fold if isinstance(assignment.kind, Reduction) else None
