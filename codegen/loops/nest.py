"""The parts of a kernel of loops: nests partitioned among workers, the loops inside them, and the steps in these loops.

A worker is a thread of a processor or a program of a grid. A backend decides how many workers there are, how rows are assigned
to workers, and how loops are vectorised. Decided here is which loops are partitioned, and where each reduction accumulates.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from codegen.loops.assignment import Assignment, EntryUpdate, Fold, MatrixProduct, RunningSum, ScatterAdd, WindowProduct
from codegen.recognise.rows import Row
from codegen.recognise.window import Slide

# ---- what a statement does inside the loops around it --------------------------------------------------------------------


@dataclass(frozen=True)
class Define:
    """The value is stored in a variable."""

    assignment: Assignment


@dataclass(frozen=True)
class Store:
    """The value is stored in memory; if it is ``reread`` in the same loops, a variable holds it too."""

    assignment: Assignment
    reread: bool


@dataclass(frozen=True)
class Recompute:
    """Nothing is computed here: the value is rematerialised where it is used."""

    assignment: Assignment


@dataclass(frozen=True)
class Accumulate:
    """A term is added to a reduction, multiplied with its product so far, or compared with its extremum so far."""

    assignment: Assignment
    fold: Fold


@dataclass(frozen=True)
class Update:
    """The entry of a row that a label selects is changed."""

    assignment: Assignment
    kind: EntryUpdate


Step = Define | Store | Recompute | Accumulate | Update

# ---- loops inside a nest -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class InVariable:
    """A reduction that gives a single number for each iteration of the surrounding loops: it accumulates in a variable."""

    assignment: Assignment
    fold: Fold


@dataclass(frozen=True)
class InMemory:
    """A reduction whose value has the axes ``axes`` inside the surrounding loops: it accumulates in its own memory."""

    assignment: Assignment
    fold: Fold
    axes: tuple[str, ...]


Begun = InVariable | InMemory


@dataclass(frozen=True)
class PartialSum:
    """The part of a reduction that the loops here compute: it accumulates in a variable and is then added to the whole."""

    assignment: Assignment
    fold: Fold


def _defined(axis: str, slide: Slide | None) -> tuple[str, ...]:
    return (axis, slide.inner) if slide else (axis,)


@dataclass(frozen=True)
class VectorLoop:
    """An innermost loop, which is vectorised.

    The reductions ``begun`` begin before the loop and are complete after it. The ``partial`` sums are added to their reductions
    after the loop. A ``slide`` bounds the loop, and gives the position of its inner index; ``rows`` bound it.
    """

    axis: str
    begun: tuple[Begun, ...]
    partial: tuple[PartialSum, ...]
    body: tuple[Step, ...]
    slide: Slide | None = None
    rows: tuple[Row, ...] = ()

    @property
    def defines(self) -> tuple[str, ...]:
        """The indices that are known inside."""
        return _defined(self.axis, self.slide)


@dataclass(frozen=True)
class InnerLoop:
    """A loop around other loops, run by one worker. The fields mean what they mean in :class:`VectorLoop`."""

    axis: str
    begun: tuple[Begun, ...]
    partial: tuple[PartialSum, ...]
    body: tuple[Node, ...]
    slide: Slide | None = None
    rows: tuple[Row, ...] = ()

    @property
    def defines(self) -> tuple[str, ...]:
        """The indices that are known inside."""
        return _defined(self.axis, self.slide)


Node = InnerLoop | VectorLoop | Step

# ---- parts of a kernel ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Total:
    """A reduction over a partitioned loop: each worker has a partial sum, and the partial sums are combined in order."""

    assignment: Assignment
    fold: Fold


@dataclass(frozen=True)
class Once:
    """A statement outside of all loops."""

    step: Step


@dataclass(frozen=True)
class SmallLoop:
    """A loop that one worker runs, as partitioning it would not pay."""

    loop: VectorLoop


@dataclass(frozen=True)
class FlatNest:
    """A single loop, partitioned into chunks."""

    loop: VectorLoop
    totals: tuple[Total, ...]


@dataclass(frozen=True)
class RowNest:
    """Loops over ``axes``. Their iterations, the rows, are partitioned among workers; ``body`` is the work for one row.

    ``rows`` are the values whose storage is a buffer of each worker, with the axes of the buffer.
    """

    axes: tuple[str, ...]
    body: tuple[Node, ...]
    totals: tuple[Total, ...]
    rows: tuple[tuple[Assignment, tuple[str, ...]], ...]


@dataclass(frozen=True)
class Product:
    """A matrix product for each element of its batch axes."""

    assignment: Assignment
    kind: MatrixProduct


@dataclass(frozen=True)
class Scatter:
    """A scatter-add, whose target rows are partitioned into ranges."""

    assignment: Assignment
    kind: ScatterAdd


@dataclass(frozen=True)
class Scan:
    """A running sum: one after the other along an axis, and workers share the other axes."""

    assignment: Assignment
    kind: RunningSum


@dataclass(frozen=True)
class Convolution:
    """A convolution or one of its gradients, as matrix products one after the other."""

    assignment: Assignment
    kind: WindowProduct


Part = Once | SmallLoop | FlatNest | RowNest | Product | Scatter | Scan | Convolution


@dataclass(frozen=True)
class Nests:
    """The parts of a kernel in order. Unless ``batch`` is "", a loop over this axis is around all of them."""

    parts: tuple[Part, ...]
    batch: str


def steps_in(nodes: tuple[Node, ...], path: tuple[str, ...] = ()) -> Iterator[tuple[Step, tuple[str, ...]]]:
    """Every statement in order of execution, with the axes of the loops around it."""
    for node in nodes:
        if isinstance(node, InnerLoop | VectorLoop):
            yield from steps_in(node.body, (*path, *node.defines))
        else:
            yield node, path
