"""A kernel's programs as the text of ``generated/native/OP.c`` and ``OP.h``."""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from codegen.backends.native.elements import argument_strides, by_value
from codegen.backends.native.library import DOUBLES, FUNCTIONS, HELPERS, ordered
from codegen.backends.native.machine import scheduled
from codegen.backends.native.names import Names
from codegen.backends.native.nests import CBody
from codegen.backends.native.step import has_step, step
from codegen.loops.assignment import Fold, MatrixProduct, fold_of
from codegen.loops.fused import forward_backward
from codegen.loops.loop import assignments_in
from codegen.loops.schedule import Schedule
from codegen.loops.star import without_star
from codegen.loops.storage import Array
from codegen.program import Argument, Kernel, Program
from codegen.source import Code, code, equations
from derive import syntax as st
from derive.language.axes import equal_axes
from derive.language.unicode import language
from derive.terms.style import DEFAULT_SIZE

WIDTH = 110


@dataclass(frozen=True)
class CFunction:
    """One function: the comment above it, its name and parameters, its lines, and the call with arguments in arrays.

    ``declared`` are the parameters in each precision, for the header; ``contiguous`` is the condition under which an argument
    that must be contiguous is not.
    """

    name: str
    comment: tuple[str, ...]
    parameters: Code
    declared: tuple[Code, Code]
    contiguous: Code
    variants: tuple[CVariant, ...]
    body: tuple[Code, ...]
    packed: Code


@dataclass(frozen=True)
class CVariant:
    """A static function for a case that has a loop nest of its own."""

    name: str
    comment: str
    parameters: Code
    body: tuple[Code, ...]


@dataclass(frozen=True)
class CFile:
    """What the templates of OP.c and OP.h are given."""

    op: str
    title: str
    command: str
    equations: tuple[str, ...]
    source: str
    helpers: tuple[str, ...]
    functions: tuple[str, ...]
    doubles: tuple[str, ...]
    kernels: tuple[CFunction, ...]
    uses_blas: bool


def lay_out(kernel: Kernel, command: str) -> CFile:
    """The parts of the C source of one op; ``command`` is what regenerates it."""
    return file_of(kernel.op, command, [Function(kernel.op, p) for p in programs(kernel)])


def file_of(op: st.Op, command: str, laid: Sequence[Function]) -> CFile:
    """The C source of functions, with the helpers that they need."""
    kernels = tuple(f.laid_out() for f in laid)
    helpers = {h for f in laid for h in f.helpers}
    doubles = {d for f in laid for d in f.doubles}
    functions = {n for f in laid for n in f.functions} | {n for d in doubles for n in DOUBLES[d]}
    return CFile(
        op=op.name,
        title=op.title or f"The op {op.name}.",
        command=command,
        equations=equations(op),
        source=op.source,
        helpers=ordered(helpers, HELPERS),
        functions=ordered(functions, FUNCTIONS),
        doubles=tuple(sorted(doubles)),
        kernels=kernels,
        uses_blas="matmul" in helpers,
    )


def programs(kernel: Kernel) -> tuple[Program, ...]:
    """The programs that have a native kernel."""
    steps = (step(kernel),) if has_step(kernel.op.name) else ()
    return kernel.forward, kernel.backward, forward_backward(kernel), *steps


def axes_of(op: st.Op, program: Program) -> tuple[str, ...]:
    """The axes whose lengths a function takes, in order; axes of equal length once."""
    root = equal_axes(op)
    return tuple(dict.fromkeys(root.get(a, a) for argument in program.arguments for a in argument.axes))


def strided_arguments(program: Program, plan: Schedule) -> frozenset[str]:
    """The arguments that need not be contiguous: not those of which a matrix product takes several axes as one."""
    together: set[str] = set()
    for f, _ in assignments_in(plan.body):
        if isinstance(f.kind, MatrixProduct):
            roles = f.kind.axes
            wide = {a for g in (roles.rows, roles.columns, roles.inner) if len(g) > 1 for a in g}
            together |= {r.name for r in (f.kind.left, f.kind.right) if wide & {str(i) for i in r.index}}
    return frozenset(a.name for a in program.arguments if argument_strides(a) and a.name not in together)


@dataclass(frozen=True)
class Parameter:
    """A parameter of a function: its type, in which ``{real}`` stands for the precision, and its name."""

    kind: str
    name: str


def _declared(parameters: tuple[Parameter, ...], real: str) -> str:
    return ", ".join(p.kind.replace("{real}", real) + p.name for p in parameters)


class Function:
    """One program on its way to C; ``helpers``, ``functions`` and ``doubles`` are known once it is laid out."""

    def __init__(self, op: st.Op, program: Program):
        self.op, self.program = op, program
        self.root = equal_axes(op)
        self.plan = scheduled(self.program)
        self.strided = strided_arguments(self.program, self.plan)
        self.rows = f"{self.program.name}_rows"
        self.names = Names(program, [self.rows])
        self.parameters = tuple(self.declared())
        self.helpers: set[str] = set()
        self.functions: set[str] = set()
        self.doubles: set[str] = set()

    def laid_out(self) -> CFunction:
        variants: tuple[CVariant, ...] = ()
        choice: list[str] = []
        if self.has_inner_star():
            variants = (self.variant(),)
            choice = self.choice()
        body = self.fixed() + self.checks() + choice + self.body(self.program, self.plan, self.parameters)
        return CFunction(
            name=self.program.name,
            comment=tuple(self.comment()),
            parameters=Code(_declared(self.parameters, "real")),
            declared=(Code(_declared(self.parameters, "float")), Code(_declared(self.parameters, "double"))),
            contiguous=Code(" || ".join(f"strides[{k}]" for k in self.dense())),
            variants=variants,
            body=code(body),
            packed=Code(self.packed()),
        )

    # ---- parameters ----------------------------------------------------------------------------------------------------

    def axes(self) -> tuple[str, ...]:
        return axes_of(self.op, self.program)

    def declared(self) -> Iterator[Parameter]:
        """The parameters in order: lengths, arguments with their strides, constants, results."""
        names = self.names
        for axis in self.axes():
            yield Parameter("int64_t ", names.length(axis))
        for a in self.program.arguments:
            yield Parameter(
                "const int64_t *" if a.labels else "{real} " if by_value(a) else "const {real} *", names.tensor(a.name)
            )
            if a.name in self.strided:
                yield Parameter("const int64_t *", names.strides(a.name))
        for c in self.program.constants:
            yield Parameter("double ", names.tensor(c.name))
        for r in dict.fromkeys(self.program.results):
            yield Parameter("{real} *", names.tensor(r))

    def dense(self) -> list[int]:
        """The numbers of the arguments that must be contiguous."""
        return [k for k, a in enumerate(self.program.arguments) if len(a.axes) > 1 and a.name not in self.strided]

    def packed(self) -> str:
        """The call of the function with its arguments taken from arrays."""
        parts = [f"size[{k}]" for k in range(len(self.axes()))]
        for k, a in enumerate(self.program.arguments):
            parts.append(f"*(const real *)data[{k}]" if by_value(a) else f"data[{k}]")
            parts += [f"strides[{k}]"] * (a.name in self.strided)
        parts += [f"constants[{k}]" for k in range(len(self.program.constants))]
        first = len(self.program.arguments)
        parts += [f"data[{first + k}]" for k in range(len(dict.fromkeys(self.program.results)))]
        return ", ".join(parts)

    def has_inner_star(self) -> bool:
        star = self.program.star
        return bool(star) and any(len(a.axes) > 1 and a.axes[-1] == star for a in self.program.arguments)

    def star(self) -> str:
        """The axis whose length a star has."""
        return self.root.get(self.program.star, self.program.star)

    def without_star(self) -> tuple[Parameter, ...]:
        return tuple(p for p in self.parameters if p.name != self.names.length(self.star()))

    def variant(self) -> CVariant:
        program = without_star(self.program, self.program.star)
        body = self.body(program, scheduled(program), self.without_star())
        comment = f"The same for a length of 1 of axis {self.star()}."
        return CVariant(self.rows, comment, Code(_declared(self.without_star(), "real")), code(body))

    def choice(self) -> list[str]:
        tests = [f"{self.names.length(self.star())} == 1"]
        for a in self.program.arguments:
            if a.name in self.strided and a.axes[-1] == self.program.star:
                strides = self.names.strides(a.name)
                tests.append(f"(!{strides} || {strides}[{len(a.axes) - 2}] == 1)")
        call = ", ".join(p.name for p in self.without_star())
        return [f"if ({' && '.join(tests)}) {{", f"return {self.rows}({call});", "}"]

    # ---- bodies --------------------------------------------------------------------------------------------------------

    def body(self, program: Program, plan: Schedule, parameters: tuple[Parameter, ...]) -> list[str]:
        strided = frozenset(a.name for a in program.arguments if a.name in self.strided and len(a.axes) > 1)
        printed = CBody(plan, self.root, self.program.arguments, strided, self.names.inner())
        lines = printed.printed()
        memory = self.memory(plan, printed)
        head = self.strides(program, printed) + self.threads(program, plan, printed) + memory
        tail = ["give_back(memory);"] if memory else []
        self.helpers |= set(printed.spell.helpers)
        self.functions |= set(printed.spell.functions)
        self.doubles |= set(printed.spell.numbers.functions)
        return [*_unused(parameters, [*head, *lines]), *head, *_unread(head, lines), *lines, "", *tail, "return 0;"]

    def fixed(self) -> list[str]:
        """Lengths that may be constants of the compilation, for the one kind of function that is called with few of them."""
        if not any(s.over for s in self.program.statements):
            return []
        lines = []
        for a in self.axes():
            size = self.names.length(a)
            lines += [f"#ifdef FIXED_{a}", f"if ({size} != FIXED_{a}) return NOT_FIXED;", f"{size} = FIXED_{a};", "#endif"]
        return lines

    def checks(self) -> list[str]:
        lines = []
        for a in self.program.arguments:
            if a.labels and self.root.get(a.labels, a.labels) in self.axes():
                self.helpers.add("labels_in_range")
                count = " * ".join(self.names.length(self.root.get(x, x)) for x in a.axes) or "1"
                length, labels = self.names.length(self.root.get(a.labels, a.labels)), self.names.tensor(a.name)
                lines += [f"if (!labels_in_range({labels}, {count}, {length})) {{", "return LABEL_OUT_OF_RANGE;", "}"]
        return lines

    def strides(self, program: Program, printed: CBody) -> list[str]:
        lines = []
        full = {a.name: a.axes for a in self.program.arguments}
        for (name, axis), stride in printed.strides.items():
            own = next(a.axes for a in program.arguments if a.name == name)
            rest = " * ".join(printed.size(x) for x in own[own.index(axis) + 1 :])
            given = self.names.strides(name)
            lines.append(f"const int64_t {stride} = {given} ? {given}[{full[name].index(axis)}] : {rest};")
        return lines

    def threads(self, program: Program, plan: Schedule, printed: CBody) -> list[str]:
        lines: list[str] = []
        text = "\n".join(printed.lines)
        if "threads" in text or plan.batch:
            self.helpers.add("thread_count")
            loops = [f.index if isinstance(f.kind, MatrixProduct) else f.loops for f, _ in assignments_in(plan.body)]
            widest = max(loops, key=self.elements)
            lines += _thread_lines(printed, widest, plan.batch)
        if printed.streams:
            sizes = [f for f, _ in assignments_in(plan.body) if f.name in program.results]
            widest_result = max(sizes, key=lambda f: self.elements(f.index))
            size = f"sizeof(real) * (size_t)({printed.count(widest_result.index)})"
            lines.append(f"const int streaming = {size} > STREAM_ABOVE{self.apart(printed)};")
        return lines

    def apart(self, printed: CBody) -> str:
        """What is written over an argument is in the cache already, so it is not written past it."""
        pairs = [(r, a) for r, a in printed.plan.overwritable if printed.by_name[r].index]
        return "".join(f" && {self.names.tensor(r)} != {self.names.tensor(a)}" for r, a in pairs)

    def elements(self, axes: tuple[str, ...]) -> int:
        """How many elements axes have at the op's reference sizes: what decides which loops are the large ones."""
        sizes = dict(self.op.sizes)
        return math.prod(sizes.get(st.axis_of(a), DEFAULT_SIZE) for a in axes)

    def memory(self, plan: Schedule, printed: CBody) -> list[str]:
        """One piece of scratch memory: totals of sums over rows, arrays, and what each thread has of rows and blocks."""
        totals = [(name, f"threads * padded({count})") for name, count in printed.totals]
        places = [(n, p.axes) for n, p in plan.storage.items() if isinstance(p, Array) and not p.over and p.axes]
        times = "batch_threads * " if plan.batch else ""
        name_of = (lambda n: printed.names.part(n, "parts")) if plan.batch else printed.names.tensor
        pieces = [(name_of(n), f"{times}padded({printed.count(axes)})") for n, axes in places]
        pieces += [(m.name, f"{times}threads * padded({m.count})") for m in printed.scratch]
        if not totals and not pieces:
            return []
        self.helpers |= {"padded", "borrow"}
        sizes = {"double": " + ".join(c for _, c in totals), "real": " + ".join(c for _, c in pieces)}
        size = " + ".join(f"sizeof({kind}) * (size_t)({count})" for kind, count in sizes.items() if count)
        lines = [f"void *const memory = borrow({size});", "if (!memory) return OUT_OF_MEMORY;"]
        place = "memory"
        for kind, parts in (("double", totals), ("real", pieces)):
            for k, (name, count) in enumerate(parts):
                cast = f"({kind} *)({place})" if k == 0 and place != "memory" else place
                lines.append(f"{kind} *const {name} = {cast};")
                place = f"{name} + {count}"
        if totals:
            lines.append(f"memset(memory, 0, sizeof(double) * (size_t)({sizes['double']}));")
        return [*lines, *self.started(plan, printed)]

    def started(self, plan: Schedule, printed: CBody) -> list[str]:
        """The totals of extrema start at the other end of the line."""
        lines = []
        for f, _ in assignments_in(plan.body):
            totals = printed.names.part(f.name, "totals")
            if fold_of(f) in (Fold.MAX, Fold.MIN) and any(n == totals for n, _ in printed.totals):
                sign = "-" if fold_of(f) is Fold.MAX else ""
                count = f"threads * padded({printed.count(f.index)})"
                lines.append(f"for (int64_t k = 0; k < {count}; ++k) {totals}[k] = {sign}INFINITY;")
        return lines

    # ---- the comment ---------------------------------------------------------------------------------------------------

    def comment(self) -> list[str]:
        kind = self.program.name.removeprefix(f"{self.op.name}_").replace("_", " and ")
        lines = [f"{kind.capitalize()} of {self.op.name}.", ""]
        for s in self.program.statements:
            left = f"{s.name}[{', '.join(s.index)}]" if s.index else s.name
            lines += textwrap.wrap(f"    {left} = {language(s.tree)}", WIDTH, subsequent_indent=" " * 8)
        shapes = ", ".join(self.shape(a) for a in self.program.arguments)
        results = ", ".join(f"{r}{self.result_shape(r)}" for r in dict.fromkeys(self.program.results))
        lines += ["", *textwrap.wrap(f"Takes {shapes}.", WIDTH, subsequent_indent="    ")]
        lines += textwrap.wrap(f"Writes {results}.", WIDTH, subsequent_indent="    ")
        over = [f"{r} over {a}" for r, a in self.plan.overwritable]
        if over:
            lines += textwrap.wrap(f"May write {' or '.join(over)}.", WIDTH, subsequent_indent="    ")
        return lines

    def shape(self, a: Argument) -> str:
        return f"{a.name}[{', '.join(a.axes)}]" if a.axes else f"the scalar {a.name}"

    def result_shape(self, name: str) -> str:
        index = next(s.index for s in self.program.statements if s.name == name)
        return f"[{', '.join(index)}]" if index else ""


def _thread_lines(printed: CBody, widest: tuple[str, ...], batch: str) -> list[str]:
    """How many threads share the rows of a nest; or, where the elements of a batch are small, the batch."""
    work = printed.count(widest)
    if not batch:
        return [f"const int threads = thread_count({work});"]
    own = printed.count(tuple(a for a in widest if a != batch))
    return [
        f"const int batch_threads = {own} < PARALLEL_ABOVE ? thread_count({work}) : 1;",
        f"const int threads = batch_threads > 1 ? 1 : thread_count({own});",
    ]


def _unused(parameters: tuple[Parameter, ...], lines: list[str]) -> list[str]:
    """Parameters that only say a length."""
    used = set(re.findall(r"\w+", "\n".join(lines)))
    return [f"(void){p.name};" for p in parameters if p.name not in used]


def _unread(head: list[str], lines: list[str]) -> list[str]:
    """What only a directive names is unused where there is no OpenMP."""
    code = "\n".join(line for line in (*head, *lines) if not line.startswith("#"))
    names = ("batch_threads", "threads")
    return [f"(void){n};" for n in names if f"const int {n} =" in code and len(re.findall(rf"\b{n}\b", code)) == 1]
