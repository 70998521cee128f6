"""The parts of a kernel of loops: nests that workers share, the loops inside them, and what one statement does there.

A worker is a thread of a processor or a program of a grid. How many there are, how rows are handed to them, and what a vector
is belongs to the target; which loops they share and where each reduction adds up is decided here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from codegen.loops.assignment import Assignment, EntryUpdate, Fold, MatrixProduct, ScatterAdd

# ---- what a statement does inside the loops around it --------------------------------------------------------------------


@dataclass(frozen=True)
class Define:
    """The value goes to a variable."""

    assignment: Assignment


@dataclass(frozen=True)
class Store:
    """The value goes to memory; where it is ``reread`` in the same loops, a variable holds it as well."""

    assignment: Assignment
    reread: bool


@dataclass(frozen=True)
class Recompute:
    """Nothing here: the value is computed where it is used."""

    assignment: Assignment


@dataclass(frozen=True)
class Accumulate:
    """One more term goes into a reduction."""

    assignment: Assignment
    fold: Fold


@dataclass(frozen=True)
class Update:
    """The one entry of a row that a label names is changed."""

    assignment: Assignment
    kind: EntryUpdate


Step = Define | Store | Recompute | Accumulate | Update

# ---- loops inside a nest -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class InVariable:
    """A reduction to a single number inside the loops around: a variable adds it up."""

    assignment: Assignment
    fold: Fold


@dataclass(frozen=True)
class InMemory:
    """A reduction with the axes ``axes`` of its own inside the loops around: its own memory adds it up."""

    assignment: Assignment
    fold: Fold
    axes: tuple[str, ...]


Begun = InVariable | InMemory


@dataclass(frozen=True)
class PartialSum:
    """What the loops here add to a reduction that goes on outside of them: a variable takes it first."""

    assignment: Assignment
    fold: Fold


@dataclass(frozen=True)
class VectorLoop:
    """An innermost loop, of which several iterations run at once.

    The reductions ``begun`` begin before the loop and are complete after it; ``partial`` sums are added to theirs after it.
    """

    axis: str
    begun: tuple[Begun, ...]
    partial: tuple[PartialSum, ...]
    body: tuple[Step, ...]


@dataclass(frozen=True)
class InnerLoop:
    """A loop around others, run by one worker; the fields are those of :class:`VectorLoop`."""

    axis: str
    begun: tuple[Begun, ...]
    partial: tuple[PartialSum, ...]
    body: tuple[Node, ...]


Node = InnerLoop | VectorLoop | Step

# ---- parts of a kernel ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Total:
    """A reduction over what workers share: each has a partial sum of its own, and these are brought together in order."""

    assignment: Assignment
    fold: Fold


@dataclass(frozen=True)
class Once:
    """A statement outside of all loops."""

    step: Step


@dataclass(frozen=True)
class SmallLoop:
    """A loop that is not worth sharing."""

    loop: VectorLoop


@dataclass(frozen=True)
class FlatNest:
    """A single loop, of which each worker takes chunks."""

    loop: VectorLoop
    totals: tuple[Total, ...]


@dataclass(frozen=True)
class RowNest:
    """Loops over ``axes`` whose iterations, the rows, workers share, with all that is done for one row.

    ``rows`` are the values that are kept in a row of each worker, with the axes of that row.
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
    """A scatter-add into rows that workers share by ranges."""

    assignment: Assignment
    kind: ScatterAdd


Part = Once | SmallLoop | FlatNest | RowNest | Product | Scatter


@dataclass(frozen=True)
class Nests:
    """The parts of a kernel in order, with a loop over the axis ``batch`` around all of them if that is not empty."""

    parts: tuple[Part, ...]
    batch: str


def steps_in(nodes: tuple[Node, ...], path: tuple[str, ...] = ()) -> Iterator[tuple[Step, tuple[str, ...]]]:
    """Every statement in order of execution, with the axes of the loops around it."""
    for node in nodes:
        if isinstance(node, InnerLoop | VectorLoop):
            yield from steps_in(node.body, (*path, node.axis))
        else:
            yield node, path
