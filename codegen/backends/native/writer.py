"""The lines of one function's body so far, and the scope of the next line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from codegen.backends.native.context import Context
from codegen.backends.native.counts import Counts
from codegen.backends.native.names import Names
from codegen.backends.native.needs import Needs
from codegen.backends.native.scope import Scope
from derive import syntax as st


@dataclass
class Writer(Counts):
    """Collects the lines of a body in order, with the names and helpers that they use."""

    context: Context
    names: Names
    scope: Scope = field(default_factory=Scope)
    needs: Needs = field(default_factory=Needs)
    lines: list[str] = field(default_factory=list)

    def emit(self, *lines: str) -> None:
        self.lines.extend(lines)

    def helper(self, *names: str) -> None:
        """Note that the lines call these helpers."""
        self.needs.helpers.update(names)

    @contextmanager
    def inside(self, *axes: str) -> Iterator[None]:
        """The context of a block of C in loops over ``axes``; after it, the scope is what it was before."""
        kept = self.scope
        self.scope = kept.within(*axes)
        yield
        self.scope = kept

    @contextmanager
    def loops(self, axes: Sequence[str]) -> Iterator[None]:
        """The context of loops over axes, which it opens and closes; without an axis, what is declared in it stays declared."""
        if not axes:
            yield
            return
        self.emit(*(f"{self.head(axis)} {{" for axis in axes))
        with self.inside(*axes):
            yield
        self.emit(*("}" for _ in axes))

    def hold(self, name: str, index: tuple[st.Index, ...], variable: str) -> None:
        """Note that, from here on, a variable holds an element."""
        self.scope = self.scope.with_value((name, index), variable)

    # ---- lengths -----------------------------------------------------------------------------------------------------

    def size(self, axis: str) -> str:
        """The length of an axis."""
        axis = st.axis_of(axis)
        return self.names.length(self.context.root.get(axis, axis))

    def head(self, axis: str, count: str = "", span: tuple[str, str] | None = None) -> str:
        """The head of a loop over an axis, over its first ``count`` elements, or over a ``span`` of it.

        A span is where to begin, and what comes after the variable in the condition under which the loop goes on.
        """
        i = self.names.index(axis)
        first, goes_on = span or ("0", f"< {count or self.size(axis)}")
        return f"for (int64_t {i} = {first}; {i} {goes_on}; ++{i})"

    def flat_index(self, index: tuple[str, ...]) -> str:
        """The position of an element in contiguous memory over exactly these indices."""
        terms = [
            self.names.index(i) if k == len(index) - 1 else f"{self.names.index(i)} * {self.factor(index[k + 1 :])}"
            for k, i in enumerate(index)
        ]
        return " + ".join(terms) or "0"
