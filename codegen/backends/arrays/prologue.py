"""The lines before the body of an emitted function, for array backends: they check and prepare the arguments."""

from __future__ import annotations

from codegen.backends.arrays.axes import Text
from codegen.backends.arrays.docstring import WIDTH
from codegen.backends.arrays.lengths import length_source, length_text
from codegen.backends.arrays.printer import ArrayPrinter
from codegen.backends.arrays.spelling import wrapped
from codegen.backends.arrays.wanted import names_of
from codegen.backends.arrays.windows import static_constants
from codegen.declared import lengths_needed
from codegen.packing import Repacked
from codegen.program import Argument, Kernel, Program, Role
from derive import syntax as st
from derive.language.axes import equal_axes
from derive.packing import Packing

__all__ = ["Prologue"]


class Prologue:
    """Checks dtypes and shapes, reads lengths, widens narrow dtypes, and brings arguments to the axes of the equations."""

    kernel: Kernel
    program: Program
    op: st.Op
    packing: Packing
    held: Repacked
    printer: ArrayPrinter
    helpers: set[str]
    declared: tuple[tuple[str, st.Tree], ...]
    size_name: str
    dtype_name: str

    @property
    def wanted(self) -> str:
        """The argument by which the caller chooses among several gradients; "" where there is nothing to choose."""
        raise NotImplementedError

    def floating(self) -> list[Argument]:
        return [a for a in self.program.arguments if a.labels is None]

    def prologue(self) -> list[str]:
        """The lines that check the arguments, read axis lengths, widen narrow dtypes, and reshape ``*s`` to one axis."""
        lines = []
        if self.wanted:
            self.helpers.add("_wanted")
            lines.append(f"{self.wanted} = _wanted({self.wanted}, {names_of(self.program.results)})")
        needs = self.lengths_needed()
        if any(a.labels == st.TRUTH for a in self.program.arguments):
            self.helpers.add("_kinds")
        if call := self.check():
            self.helpers |= {"_lengths", "_unpacked"} if self.op.packing else {"_lengths"}
            lines.append(f"{self.size_name} = {call}" if needs or self.sizes_named or self.declared else call)
        lines += self.declared_lengths()
        for a in self.program.arguments:
            if a.labels is not None and self.checks_labels(a) and (not a.guards or a.name in self.printer.given):
                self.helpers.add("_labels")
                lines += self.guarded(a)
                check = f'_labels("{a.name}", {a.name}, {self.label_length(a)})'
                lines.append(self.labels(a.name, check))
        lines += self.unpacked(needs) + self.whole()
        lines += self.scalars() + self.widened() + self.constants() + self.reshaped()
        return lines

    def declared_lengths(self) -> list[str]:
        """The lines that work out the declared lengths, and check those that arguments have."""
        if not self.declared:
            return []
        self.helpers.add("_declared")
        root = equal_axes(self.op)
        lines = [] if self.check() else [f"{self.size_name} = dict({', '.join(self.given())})"]
        for axis, tree in self.declared:
            equal = [axis, *(a for a, r in sorted(root.items()) if r == root[axis] and a != axis)]
            value = length_source(tree, lambda a: Text(self.length_of(a)), Text).code
            names = ", ".join(f'"{a}"' for a in equal)
            lines.append(f'{self.size_name} = _declared({self.size_name}, "{length_text(tree)}", {value}, {names})')
        return lines

    def guarded(self, a: Argument) -> list[str]:
        """The lines by which label 0 stands for those that are not looked up; conditions are about the labels as given."""
        if a.name not in self.printer.given:
            return []
        given = self.printer.given[a.name]
        return [f"{given} = {a.name}", f"{a.name} = {self.printer.looked_up(given, a)}"]

    def labels(self, name: str, check: str) -> str:
        """The line that checks labels and converts them to what the body indexes with."""
        return f"{name} = {check}"

    def whole(self) -> list[str]:
        """The lines that check the constants that slices depend on: a whole number may be given as ``1.0``."""
        names = [c.name for c in self.program.constants if c.name in static_constants(self.kernel) - self.packing.constants()]
        self.helpers |= {"_whole"} if names else set()
        return [f'{name} = _whole("{name}", {name})' for name in names]

    def scalars(self) -> list[str]:
        """The lines that keep a scalar argument from deciding the dtype of a result."""
        return []

    def constants(self) -> list[str]:
        """The lines that convert the caller's constants to what the body computes with."""
        return []

    def check(self) -> str:
        """The call that checks dtypes and shapes and returns the lengths of the axes.

        Its first argument is a text with every array's axes, ``x[n, d]; gamma[d]``, and the axes of equal length. The call is
        "" where all arguments are scalars.
        """
        tensors = [a for a in self.program.arguments if a.axes or a.labels is not None]
        if not tensors:
            return ""
        tensors.sort(key=lambda a: a.labels is not None)
        parts = [f"{a.name}[{', '.join(self.slots(a))}]" + (f" in {a.labels}" if a.labels else "") for a in tensors]
        parts += [f"{a} = {first}" for a, first in sorted(equal_axes(self.op).items()) if a != first]
        text = " ".join(f'"{line}"' for line in wrapped(parts, "; ", WIDTH - 20))
        return f"_lengths({', '.join([text, *(a.name for a in tensors), *self.given()])})"

    def slots(self, a: Argument) -> list[str]:
        """The caller's axes of an argument, for the check: a star before ``*s``, and between axes that are packed."""
        slots = self.packing.slots(a.name, tuple(map(st.axis_of, a.axes)))
        return [f"*{slot[0]}" if slot[0] in self.op.stars else "*".join(slot) for slot in slots]

    def given(self) -> list[str]:
        """The lengths that the signature gives, as keywords of the check."""
        return [f"{axis}={value}" for axis, value in self.given_lengths().items()]

    def given_lengths(self) -> dict[str, str]:
        """Source for each length that the signature gives and the program needs."""
        used = {axis for a in self.program.arguments for axis in a.axes} | set(self.printer.lengths)
        used |= lengths_needed(self.declared)
        root = equal_axes(self.op)
        given = {root[axis]: value for axis, value in self.packing.lengths if axis in used}
        if any(isinstance(value, str) for value in given.values()):
            self.helpers.add("_count")
        return {a: f'_count("{v}", {v})' if isinstance(v, str) else str(v) for a, v in given.items()}

    @property
    def collapsed(self) -> bool:
        return self.program.collapsed

    @property
    def sizes_named(self) -> bool:
        """Whether a result has ``*s``, whose lengths it takes from the arguments."""
        kept = [s for s in self.program.statements if s.role is not Role.TEMPORARY]
        return self.collapsed and any(self.op.stars & set(s.index) for s in kept)

    def checks_labels(self, a: Argument) -> bool:
        return self.label_length(a) != ""

    def label_length(self, a: Argument) -> str:
        """The length of the axis that the labels index; "" where no argument has the axis."""
        for other in self.program.arguments:
            if a.indexed in other.axes and other.axes:
                return self.length_of(a.indexed or "")
        return ""

    def lengths_needed(self) -> list[str]:
        needed = list(self.printer.lengths)
        if self.collapsed:
            needed += [x for a in self.collapsing() for x in a.axes]
        needed += [x for a in self.program.arguments if self.taken_apart(a.name, a.axes) for x in a.axes]
        labels = any(a.labels is not None and self.label_length(a) for a in self.program.arguments)
        found = list(dict.fromkeys(map(st.axis_of, needed)))
        return found or (["_"] if labels else [])

    def unpacked(self, needs: list[str]) -> list[str]:
        names = [n for n in needs if n != "_"]
        plain = [n for n in names if n not in self.op.stars]
        lines = []
        if plain:
            given = {} if self.check() or self.declared else self.given_lengths()
            values = ", ".join(given.get(a) or self.length_of(a) for a in plain)
            lines.append(f"{', '.join(plain)} = {values}")
        for star in (n for n in names if n in self.op.stars):
            lengths = self.length_of(f"*{star}")
            lines.append(f"{star} = {f'math.prod({lengths})' if self.collapsed else lengths}")
        return lines

    def length_of(self, axis: str) -> str:
        """The length of an axis, as the check of the arguments returns it."""
        return f'{self.size_name}["{axis}"]'

    def widened(self) -> list[str]:
        """The lines that widen arguments: half precision to float32, an accurate variant's arguments to float64."""
        if not self.widens():
            return []
        floating = self.floating()
        values = ", ".join(self.wide(a.name) for a in floating)
        return [f"{self.dtype_name} = {floating[0].name}.dtype", f"{', '.join(a.name for a in floating)} = {values}"]

    def widens(self) -> bool:
        """Whether arguments are converted to a wider dtype first."""
        return self.program.accurate

    def wide(self, name: str) -> str:
        """An argument in the dtype of the computation."""
        raise NotImplementedError

    def collapsing(self) -> list[Argument]:
        return [a for a in self.program.arguments if self.op.stars & set(a.axes)] if self.collapsed else []

    def reshaped(self) -> list[str]:
        """The arguments with every ``*s`` as one axis, and with a view of every packed axis as the axes that it packs."""
        changed = [a for a in self.program.arguments if a in self.collapsing() or self.taken_apart(a.name, a.axes)]
        axes = {a.name: self.held.axes.get(a.name, a.axes) for a in changed}
        axes |= {self.printer.given[n]: own for n, own in axes.items() if n in self.printer.given}
        return [f"{name} = {name}.reshape({', '.join(self.printer.dimensions(own))})" for name, own in axes.items()]

    def taken_apart(self, name: str, axes: tuple[str, ...]) -> bool:
        """Whether the caller's tensor packs axes that are apart in the body."""
        slots = self.packing.slots(name, axes)
        return len(slots) < len(self.held.axes.get(name, slots))
