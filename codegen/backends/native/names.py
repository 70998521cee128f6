"""The identifiers of one C function. One object assigns them, so that no two things have the same identifier.

The author's names are assigned first; they stay as they are unless C or the emitted file has another use for them. Derived
names (of lengths, strides, pointers to rows, buffers) are assigned when they are first asked for. A name that is taken gets an
underscore.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from codegen.backends.native.taken import is_taken
from codegen.program import Program
from derive import syntax as st


class Names:
    """The identifiers assigned so far. A thing is known by a tuple that says what it is, and always has the same identifier.

    ``used`` are the identifiers that were asked for, which are those that the code contains.
    """

    def __init__(self, program: Program, functions: Iterable[str] = ()):
        """``functions`` are the functions of the file, apart from helpers, that the function calls."""
        self.given: dict[tuple[Hashable, ...], str] = {}
        self.taken = set(functions)
        self.used: set[str] = set()
        written = [*(a.name for a in program.arguments), *(c.name for c in program.constants), *program.results]
        axes = dict.fromkeys(
            i for own in (*(a.axes for a in program.arguments), *(s.index for s in program.statements)) for i in own
        )
        for name in (*written, *(s.name for s in program.statements)):
            self.tensor(name)
        for axis in axes:
            self.index(axis)
        for axis in axes:
            self.length(axis)

    def of(self, wanted: str, *thing: Hashable) -> str:
        """The identifier of a thing: ``wanted``, with underscores if that is taken."""
        if thing not in self.given:
            while is_taken(wanted) or wanted in self.taken:
                wanted += "_"
            self.taken.add(wanted)
            self.given[thing] = wanted
        self.used.add(self.given[thing])
        return self.given[thing]

    def tensor(self, name: str) -> str:
        """The identifier of a tensor, constant or value: of the pointer if it lies in memory, else of the number."""
        return self.of(name, "tensor", name)

    def index(self, index: str) -> str:
        """The loop variable of an index, which is named after its axis."""
        return self.of(st.numbered(index), "index", index)

    def length(self, axis: str) -> str:
        axis = st.axis_of(axis)
        return self.of(f"size_{axis}", "length", axis)

    def strides(self, name: str) -> str:
        """The strides of an argument."""
        return self.part(name, "strides")

    def part(self, name: str, kind: str) -> str:
        """The identifier of something that belongs to a tensor: its ``row``, ``buffer`` or ``totals``."""
        return self.of(f"{name}_{kind}", kind, name)

    def inner(self) -> Names:
        """A copy of the identifiers so far, for another function of the same parameters."""
        copy = object.__new__(Names)
        copy.given, copy.taken, copy.used = dict(self.given), set(self.taken), set()
        return copy
