"""A kernel's programs as the text of one file, for array backends."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial

from codegen.backends.arrays.docstring import WIDTH, docstring
from codegen.backends.arrays.memory import borrowed
from codegen.backends.arrays.printer import ArrayPrinter
from codegen.backends.arrays.prologue import Prologue
from codegen.backends.arrays.spelling import ATOM
from codegen.backends.arrays.steps import shifted
from codegen.backends.arrays.wanted import Part, chosen, names_of
from codegen.backends.arrays.windows import set_apart
from codegen.declared import declared_in
from codegen.locals import local
from codegen.loops.body import Body, body_of, in_blocks, masks_of
from codegen.packing import Repacked, repacked
from codegen.program import Kernel, Program, Statement
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


def lay_out(kernel: Kernel, layout: type[Layout], command: str, *, chooses: bool) -> FileSource:
    """The parts of ``generated/BACKEND/OP.py``; ``command`` regenerates it, and ``chooses`` is the backend's."""
    op = kernel.op
    printed = [layout(kernel, program, chooses).printed() for program in kernel.programs]
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


class Layout(Prologue):
    """Lays out one function of a file. A backend's subclass says how arrays are checked, widened and cast."""

    printer_class: type[ArrayPrinter]
    #: The word for an array in messages.
    array = "array"
    #: Modules of the standard library; the formatter drops the imports that a file does not use.
    imports: tuple[str, ...] = ("functools", "math")
    #: Whether :meth:`cast` takes None, which stands for a result that is not wanted.
    casts_none = False

    def __init__(self, kernel: Kernel, program: Program, chooses: bool):
        self.kernel, self.program, self.chooses = kernel, program, chooses
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
        body = list(self.chosen()) if self.wanted else [line for block in self.blocks for line in self.block(block)]
        returned = self.returned_if_wanted() if self.wanted else self.returned()
        prologue = self.prologue()
        self.helpers |= set(self.printer.helpers)
        function = FunctionSource(
            self.program.name, Code(self.signature()), tuple(self.doc()), code(prologue), code(body), Code(returned)
        )
        return _Printed(function, frozenset(self.helpers))

    @property
    def wanted(self) -> str:
        """The argument by which the caller chooses among several gradients; "" where there is nothing to choose."""
        several = self.program is self.kernel.backward and len(self.program.results) > 1
        return local(self.kernel, "wanted") if several and self.chooses else ""

    def chosen(self) -> Iterator[str]:
        """The lines of a body whose results are computed if they are wanted."""
        index = {s.name: s.index for s in self.program.statements}
        casts = self.casts(False) and not self.casts_none
        parts = []
        for block in self.blocks:
            own = [s for s in self.held.statements if s.name in block.loop.names] if isinstance(block, Body) else [block]
            parts.append(Part(own, dict(self.conditions(block)), list(self.computed(block))))
        results = {name: self.result(name, index[name], casts) for name in self.program.results}
        return chosen(self.program, self.held.statements, parts, results, self.wanted)

    def block(self, block: Statement | Body) -> Iterator[str]:
        """The lines of a statement, or of a loop over steps."""
        yield from (line for _, lines in self.conditions(block) for line in lines)
        yield from self.computed(block)

    def conditions(self, block: Statement | Body) -> Iterator[tuple[st.Compare, list[str]]]:
        """The conditions on positions in a block that no earlier line has, with the lines that compute them."""
        if isinstance(block, Body):
            found = [(c, tuple(st.free_indices(c))) for c in block.conditions]
        elif self.handed(block):
            found = []
        else:
            window = self.printer.window(block)
            found = [(c, block.index) for c in masks_of(self.masked(window.body if window else block.tree))]
        yield from ((c, list(self.printer.mask(c, order))) for c, order in found)

    def computed(self, block: Statement | Body) -> Iterator[str]:
        """The lines of a block but for its conditions on positions."""
        if isinstance(block, Body):
            yield from self.printer.steps(block)
        elif lines := self.handed(block):
            yield from lines
        else:
            yield from self.printer.statement(block)

    def handed(self, s: Statement) -> list[str]:
        """The line of a statement that has its value from a loop over steps; none for any other statement."""
        ends = {name: local for body in self.bodies for name, local in body.last.items()}
        shift = next((c for c in self.program.shifts if c.name == s.name), None)
        return [f"{s.name} = {ends[s.name]}"] if s.name in ends else list(shifted(self.printer, shift)) if shift else []

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

    def signature(self) -> str:
        names = [a.name for a in self.program.arguments]
        names += [f"{c.name}={c.default}" if c.default else c.name for c in self.program.constants]
        return ", ".join([*names, *([f"*, {self.wanted}={names_of(self.program.results)}"] if self.wanted else [])])

    # ---- the results -----------------------------------------------------------------------------------------------

    def returned_if_wanted(self) -> str:
        """The results, each of which may be None; those that no branch has cast are cast here."""
        last = self.casts(False) and self.casts_none
        return ", ".join(self.cast(name) if last else name for name in self.program.results)

    def returned(self) -> str:
        statements = {s.name: s for s in self.program.statements}
        outputs, positions = {t.name for t in self.op.outputs}, {t.name for t in self.op.positions}
        parts = []
        for name in self.program.results:
            parts.append(self.result(name, statements[name].index, name not in positions and self.casts(name in outputs)))
        if self.is_forward:
            n = len(self.op.results)
            head = parts[0] if n == 1 else f"({', '.join(parts[:n])})"
            saved = [self.stored(p, statements[p].index) for p in self.program.results[n:]]
            tail = f"({saved[0]},)" if len(saved) == 1 else f"({', '.join(saved)})"
            return f"{head}, {tail}"
        return ", ".join(parts)

    def cast(self, code: str) -> str:
        """A result in the dtype of the arguments."""
        raise NotImplementedError

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
        return docstring(self.kernel, self.program, self.array, looks_up, self.wanted)
