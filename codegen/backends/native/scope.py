"""What the code at one place can use: the loops around it, and what variables hold there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from codegen.loops.assignment import Assignment
from derive import syntax as st

Indices = tuple[st.Index, ...]
#: One element of a tensor, or one of its rows by the leading indices.
Access = tuple[str, Indices]


@dataclass(frozen=True)
class Held:
    """A variable that adds up a reduction; ``rest`` takes what rounding loses of it, ``is_nan`` whether a term was NaN."""

    name: str
    rest: str = ""
    is_nan: str = ""


@dataclass(frozen=True)
class InPlace:
    """An element of memory that adds up a reduction."""

    element: str


Accumulator = Held | InPlace


@dataclass(frozen=True)
class Chunk:
    """The part of an axis that one iteration of a flat nest runs along, with the pointers to that part of tensors."""

    axis: str
    pointers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Scope:
    """``path`` are the axes of the loops around, ``vector`` that of the innermost one if it runs as a vector.

    ``values``, ``rows`` and ``labels`` are held in variables: elements, pointers to rows and labels. ``sums`` are the
    reductions being added up. ``streamed`` are the results of the nest that are written beside their memory first.
    """

    path: tuple[str, ...] = ()
    vector: str = ""
    chunk: Chunk | None = None
    values: Mapping[Access, str] = field(default_factory=dict)
    rows: Mapping[Access, str] = field(default_factory=dict)
    labels: Mapping[st.Lookup, str] = field(default_factory=dict)
    sums: Mapping[str, Accumulator] = field(default_factory=dict)
    streamed: tuple[Assignment, ...] = ()

    def known(self, index: Indices) -> bool:
        """Whether the loops around give an index a value."""
        return all(i in self.path for slot in index for i in st.index_names(slot))

    def within(self, *axes: str) -> Scope:
        return replace(self, path=(*self.path, *axes))

    def with_value(self, at: Access, variable: str) -> Scope:
        return replace(self, values={**self.values, at: variable})

    def with_row(self, at: Access, pointer: str) -> Scope:
        return replace(self, rows={**self.rows, at: pointer})

    def with_label(self, label: st.Lookup, variable: str) -> Scope:
        return replace(self, labels={**self.labels, label: variable})

    def with_sum(self, name: str, accumulator: Accumulator) -> Scope:
        return replace(self, sums={**self.sums, name: accumulator})

    def without_sum(self, name: str) -> Scope:
        return replace(self, sums={n: a for n, a in self.sums.items() if n != name})
