"""What is in scope at one place of a body: the surrounding loops, and the variables with what they hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from codegen.loops.assignment import Assignment
from codegen.recognise.window import Slide
from derive import syntax as st

Indices = tuple[st.Index, ...]
#: An element of a tensor, or a row, which is given by its leading indices.
Access = tuple[str, Indices]


@dataclass(frozen=True)
class Held:
    """A variable in which a reduction accumulates. ``rest`` is the variable for rounding errors, ``is_nan`` that for NaN."""

    name: str
    rest: str = ""
    is_nan: str = ""


@dataclass(frozen=True)
class InPlace:
    """An element of memory in which a reduction accumulates."""

    element: str


Accumulator = Held | InPlace


@dataclass(frozen=True)
class Chunk:
    """The chunk of an axis that one iteration of a flat nest computes, with the pointers to this chunk of tensors."""

    axis: str
    pointers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Scope:
    """``path`` are the axes of the surrounding loops, ``vector`` the axis of the innermost loop if it is vectorised.

    ``values``, ``rows`` and ``labels`` name the variables that hold elements, pointers to rows, and labels, ``bounds`` those
    between which a slide is inside. ``sums`` says where each reduction accumulates. ``streamed`` are the results of the nest
    that are written to a buffer first.
    """

    path: tuple[str, ...] = ()
    vector: str = ""
    chunk: Chunk | None = None
    values: Mapping[Access, str] = field(default_factory=dict)
    rows: Mapping[Access, str] = field(default_factory=dict)
    labels: Mapping[st.Lookup, str] = field(default_factory=dict)
    bounds: Mapping[Slide, tuple[str, str]] = field(default_factory=dict)
    sums: Mapping[str, Accumulator] = field(default_factory=dict)
    streamed: tuple[Assignment, ...] = ()

    def known(self, index: Indices) -> bool:
        """Whether the surrounding loops define every index in ``index``."""
        return all(i in self.path for slot in index for i in st.index_names(slot))

    def within(self, *axes: str) -> Scope:
        return replace(self, path=(*self.path, *axes))

    def with_value(self, at: Access, variable: str) -> Scope:
        return replace(self, values={**self.values, at: variable})

    def with_row(self, at: Access, pointer: str) -> Scope:
        return replace(self, rows={**self.rows, at: pointer})

    def with_label(self, label: st.Lookup, variable: str) -> Scope:
        return replace(self, labels={**self.labels, label: variable})

    def with_bounds(self, slide: Slide, names: tuple[str, str]) -> Scope:
        return replace(self, bounds={**self.bounds, slide: names})

    def with_sum(self, name: str, accumulator: Accumulator) -> Scope:
        return replace(self, sums={**self.sums, name: accumulator})

    def without_sum(self, name: str) -> Scope:
        return replace(self, sums={n: a for n, a in self.sums.items() if n != name})
