"""The costs of an op: the tensors that its backward takes, operations, and the bytes that its compiled functions move.

All costs are counted, at the op's reference sizes in float32; nothing is measured.
"""

from __future__ import annotations

from dataclasses import dataclass

from codegen.backends.native.describe import describe, traffic
from codegen.backends.native.programs import programs
from codegen.program import Argument, Kernel, Program, Role
from codegen.tools.atlas.costs import FLOAT, LABEL, elements, operations, sizes_of
from codegen.tools.atlas.page import Formula, Section, prose
from derive.show.latex import LatexPrinter

__all__ = ["Function", "Taken", "Work", "work_section"]

UNITS = ("B", "KiB", "MiB", "GiB", "TiB")
THOUSANDS = ("", "K", "M", "G", "T")


@dataclass(frozen=True)
class Taken:
    """One tensor that the backward takes."""

    tensor: Formula
    role: str
    elements: str
    bytes: str


@dataclass(frozen=True)
class Function:
    """One function of the op: its operations, the bytes it moves, and their ratio to the fewest possible bytes."""

    name: str
    operations: str
    read: str
    written: str
    ratio: str
    intensity: str


@dataclass(frozen=True)
class Work:
    taken: tuple[Taken, ...]
    functions: tuple[Function, ...]
    loops: str


def work_section(kernel: Kernel, printer: LatexPrinter) -> Section:
    """The costs of an op's kernels."""
    sizes = sizes_of(kernel)
    content = Work(
        tuple(_taken(a, kernel, sizes, printer) for a in kernel.backward.arguments),
        tuple(_function(kernel, p) for p in programs(kernel)),
        describe(kernel),
    )
    at = " at " + ", ".join(f"{axis} = {n}" for axis, n in sizes.items()) if sizes else ""
    return Section("work", "Memory and work", "work.html.j2", content, prose(f"Counted in float32{at}; nothing is measured."))


_ROLES = {Role.UPSTREAM: "upstream gradient", Role.SAVED: "saved by the forward", Role.INPUT: "input"}


def _taken(argument: Argument, kernel: Kernel, sizes: dict[str, int], printer: LatexPrinter) -> Taken:
    outputs = {t.name for t in kernel.op.outputs}
    role = "output, kept" if argument.name in outputs else "integer input" if argument.labels else _ROLES[argument.role]
    count = elements(argument, sizes)
    tensor = printer.read(argument.name, argument.axes)[0]
    return Taken(Formula(tensor, display=False), role, f"{count:,}", _bytes(count * (LABEL if argument.labels else FLOAT)))


def _function(kernel: Kernel, program: Program) -> Function:
    moved = traffic(kernel, program)
    count, total = operations(kernel, program), moved.read + moved.written
    return Function(
        program.name.removeprefix(f"{kernel.op.name}_").replace("_", " + "),
        _short(count),
        _bytes(moved.read),
        _bytes(moved.written),
        f"{total / moved.floor:.2f}",
        f"{count / total:.2g}" if count < 100 * total else f"{count / total:.0f}",
    )


def _bytes(count: int) -> str:
    """A number of bytes, in the largest unit in which the number is at least 1."""
    power = max(k for k in range(len(UNITS)) if k == 0 or count >= 1024**k)
    value = count / 1024**power
    return f"{value:.3g} {UNITS[power]}" if value < 1000 else f"{value:.0f} {UNITS[power]}"


def _short(count: int) -> str:
    """A count in thousands, millions and so on, to three digits."""
    power = max(k for k in range(len(THOUSANDS)) if k == 0 or count >= 1000**k)
    return f"{count / 1000**power:.3g} {THOUSANDS[power]}".rstrip()
