"""A kernel's programs as the text of one file, for array backends."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial

from codegen.backends.arrays.axes import Text
from codegen.backends.arrays.docstring import WIDTH, docstring
from codegen.backends.arrays.lengths import length_source, length_text
from codegen.backends.arrays.memory import borrowed
from codegen.backends.arrays.printer import ArrayPrinter
from codegen.backends.arrays.spelling import ATOM, wrapped
from codegen.backends.arrays.steps import before, shifted
from codegen.backends.arrays.windows import set_apart, static_constants
from codegen.declared import declared_in, lengths_needed
from codegen.locals import local
from codegen.loops.body import Body, body_of, in_blocks, masks_of
from codegen.packing import Repacked, repacked
from codegen.program import Argument, Kernel, Program, Role, Statement
from codegen.recognise.running import Running
from codegen.recognise.window import Window
from codegen.source import Code, FileSource, FunctionSource, code, equations
from derive import syntax as st
from derive.language.axes import equal_axes
from derive.packing import Slot

__all__ = ["WIDTH", "Layout", "lay_out"]


@dataclass(frozen=True)
class _Printed:
    """A function's source, and the helpers that the function needs in its file."""

    function: FunctionSource
    helpers: frozenset[str]


def lay_out(kernel: Kernel, layout: type[Layout], command: str) -> FileSource:
    """The parts of ``generated/BACKEND/OP.py``; ``command`` is what regenerates it."""
    op = kernel.op
    printed = [layout(kernel, program).printed() for program in kernel.programs]
    return FileSource(
        title=op.title or f"The op {op.name}.",
        command=command,
        equations=equations(op),
        source=op.source,
        imports=layout.imports,
        exports=tuple(program.name for program in kernel.programs),
        helpers=tuple(sorted(frozenset().union(*(p.helpers for p in printed)))),
        functions=tuple(p.function for p in printed),
    )


class Layout:
    """Lays out one function of a file. A backend's subclass says how arrays are checked, widened and cast."""

    printer_class: type[ArrayPrinter]
    #: The word for an array in messages.
    array = "array"
    #: Modules of the standard library; the formatter drops the imports that a file does not use.
    imports: tuple[str, ...] = ("functools", "math")

    def __init__(self, kernel: Kernel, program: Program):
        self.kernel, self.program = kernel, program
        self.op, self.packing = kernel.op, kernel.op.packing
        self.size_name, self.dtype_name = (local(kernel, n) for n in ("size", "dtype"))
        callers = {a.name: a.axes for a in program.arguments} | {s.name: s.index for s in program.statements if s.kept}
        # A step has the axes of the equations.
        apart = Repacked(program.statements, axes=callers)
        held = apart if program.loops else repacked(program.statements, callers, self.packing)
        groups = list(self.apart(held.statements))
        self.held = replace(held, statements=tuple(s for parts in groups for s in parts))
        loops = [loop.with_parts([[s.name for s in parts] for parts in groups]) for loop in program.loops]
        self.bodies = [body_of(loop, program, self.held.statements, partial(local, kernel)) for loop in loops]
        self.blocks = list(in_blocks(self.held.statements, self.bodies))
        printed = [s for b in self.blocks for s in (b.statements if isinstance(b, Body) else (b,))]
        inner = replace(program, statements=tuple(printed))
        self.printer = self.printer_class(
            inner, borrowed(replace(program, statements=self.held.statements)), kernel=True, held=self.held
        )
        self.printer.local = partial(local, kernel)
        self.printer.equal = equal_axes(kernel.op)
        self.printer.given |= {
            a.name: local(kernel, f"given_{a.name}") for a in program.arguments if a.guards and program.looks_up(a.name)
        }
        self.helpers: set[str] = set()
        self.declared = declared_in(self.op, program.arguments, program.statements)

    def printed(self) -> _Printed:
        body = [line for block in self.blocks for line in self.block(block)]
        returned = self.returned(body)
        prologue = self.prologue()
        self.helpers |= set(self.printer.helpers)
        function = FunctionSource(
            self.program.name, Code(self.signature()), tuple(self.doc()), code(prologue), code(body), Code(returned)
        )
        return _Printed(function, frozenset(self.helpers))

    def block(self, block: Statement | Body) -> Iterator[str]:
        """The lines of a statement, or of a loop over steps."""
        if isinstance(block, Body):
            yield from before(block, self.printer)
            yield from self.printer.steps(block)
            return
        ends = {name: local for body in self.bodies for name, local in body.last.items()}
        shift = next((c for c in self.program.shifts if c.name == block.name), None)
        if block.name in ends:
            yield f"{block.name} = {ends[block.name]}"
        elif shift is not None:
            yield from shifted(self.printer, shift)
        else:
            yield from self.masks(block)
            yield from self.printer.statement(block)

    @property
    def is_forward(self) -> bool:
        return self.program is self.kernel.forward

    def apart(self, statements: Iterable[Statement]) -> Iterator[tuple[Statement, ...]]:
        """Each statement with the windows in it before it, as statements of their own."""
        fresh, shifts = self.names_of_parts(), {c.name for c in self.program.shifts}
        for s in statements:
            yield (s,) if s.name in shifts else set_apart((s,), self.window, fresh)

    def window(self, tree: st.Tree) -> Window | None:
        return Window.of(tree, self.program.ranked)

    def names_of_parts(self) -> Callable[[str], str]:
        """What gives a name to a part of a statement that becomes a statement of its own."""
        given = set[str]()

        def fresh(wanted: str) -> str:
            names = (local(self.kernel, f"{wanted}{k or ''}") for k in (0, *range(2, len(given) + 3)))
            given.add(name := next(n for n in names if n not in given))
            return name

        return fresh

    def masked(self, tree: st.Tree) -> st.Tree:
        """The expression with cumulative sums, which need no mask, replaced by their terms."""
        found = Running.of(tree, self.printer.equal)
        return self.masked(found.body) if found else st.rebuild(tree, self.masked)

    def masks(self, s: Statement) -> Iterator[str]:
        """The lines that compute the conditions on positions of a statement, if no earlier one has them."""
        window = self.printer.window(s)
        for condition in masks_of(self.masked(window.body if window else s.tree)):
            yield from self.printer.mask(condition, s.index)

    def floating(self) -> list[Argument]:
        return [a for a in self.program.arguments if a.labels is None]

    def signature(self) -> str:
        names = [a.name for a in self.program.arguments]
        return ", ".join([*names, *(f"{c.name}={c.default}" if c.default else c.name for c in self.program.constants)])

    # ---- the prologue ----------------------------------------------------------------------------------------------

    def prologue(self) -> list[str]:
        """The lines that check the arguments, read axis lengths, widen narrow dtypes, and reshape ``*s`` to one axis."""
        lines = []
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

    def cast(self, code: str) -> str:
        """A result in the dtype of the arguments."""
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

    # ---- the results -----------------------------------------------------------------------------------------------

    def returned(self, body: list[str]) -> str:
        statements = {s.name: s for s in self.program.statements}
        outputs = {t.name for t in self.op.outputs}
        parts = []
        for name in self.program.results:
            parts.append(self.result(name, statements[name].index, self.casts(name in outputs)))
        if self.is_forward:
            n = len(self.op.outputs)
            head = parts[0] if n == 1 else f"({', '.join(parts[:n])})"
            saved = [self.stored(p, statements[p].index) for p in self.program.results[n:]]
            tail = f"({saved[0]},)" if len(saved) == 1 else f"({', '.join(saved)})"
            return f"{head}, {tail}"
        return ", ".join(parts)

    def casts(self, output: bool) -> bool:
        """Whether a result is cast back to the dtype of the arguments. In a forward, a result is an ``output`` or saved."""
        return self.program.accurate

    def stored(self, name: str, index: tuple[str, ...]) -> str:
        """A saved tensor, as the forward returns it."""
        return self.result(name, index, self.program.accurate)

    def result(self, name: str, index: tuple[str, ...], cast: bool) -> str:
        """A result with the caller's axes: a collapsed ``*s`` is reshaped to the lengths that it has in the arguments."""
        code = self.printer.typed(self.printer.number(name)).within(ATOM) if name in self.printer.numbers else name
        if (self.collapsed and self.op.stars & set(index)) or self.taken_apart(name, index):
            code += f".reshape({self.shape(name, index)})"
        return self.cast(code) if cast else code

    def shape(self, name: str, index: tuple[str, ...]) -> str:
        if len(index) == 1:
            return self.length_of(f"*{index[0]}")
        return ", ".join(map(self.length, self.packing.slots(name, index)))

    def length(self, slot: Slot) -> str:
        """The length of one of the caller's axes, or the lengths that a star stands for."""
        if slot[0] in self.op.stars:
            return f"*{self.length_of(f'*{slot[0]}')}"
        return " * ".join(map(self.printer.length, slot))

    def doc(self) -> list[str]:
        """The lines of the docstring."""
        looks_up = any(self.checks_labels(a) for a in self.program.arguments if a.labels)
        return docstring(self.kernel, self.program, self.array, looks_up)
