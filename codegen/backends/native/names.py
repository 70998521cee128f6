"""The identifiers of one C function: a single object hands them out, so that no two things ever share one.

An author's names come first, and stay as they are unless C or the emitted file has another use for them. What is made of
them (lengths, strides, pointers to rows, buffers) follows, each as soon as it is asked for. Whoever finds a name gone gets it
with an underscore.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from codegen.backends.native.taken import is_taken
from codegen.program import Program
from derive import syntax as st


class Names:
    """The names given so far. A thing is known by a tuple that says what it is; asked for again, it has the same name.

    ``used`` are the names that were asked for, which is what code does where it writes them.
    """

    def __init__(self, program: Program, functions: Iterable[str] = ()):
        """``functions`` are those of the file that the function calls beside the helpers."""
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
        """The name of a thing, as much like the wanted one as can be."""
        if thing not in self.given:
            while is_taken(wanted) or wanted in self.taken:
                wanted += "_"
            self.taken.add(wanted)
            self.given[thing] = wanted
        self.used.add(self.given[thing])
        return self.given[thing]

    def tensor(self, name: str) -> str:
        """A tensor, a constant, or a value between them: the pointer where it lies in memory, otherwise the number."""
        return self.of(name, "tensor", name)

    def index(self, index: str) -> str:
        """The loop variable of an index, which is named after its axis."""
        axis = st.axis_of(index)
        primes = len(index) - len(axis)
        return self.of(f"{axis}{primes + 1}" if primes else axis, "index", index)

    def length(self, axis: str) -> str:
        return self.of(f"size_{axis}", "length", axis)

    def strides(self, name: str) -> str:
        """The strides of an argument."""
        return self.part(name, "strides")

    def part(self, name: str, kind: str) -> str:
        """Something of a tensor: its ``row``, its ``buffer``, its ``totals``."""
        return self.of(f"{name}_{kind}", kind, name)

    def inner(self) -> Names:
        """The same names so far, for a function of the same parameters that goes on by itself."""
        copy = object.__new__(Names)
        copy.given, copy.taken, copy.used = dict(self.given), set(self.taken), set()
        return copy
