"""A kernel's programs as the text of ``generated/native/OP.c`` and ``OP.h``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from codegen.backends.native.function import CFunction, function
from codegen.backends.native.library import DOUBLES, FUNCTIONS, HELPERS, ordered
from codegen.backends.native.programs import programs
from codegen.program import Kernel
from codegen.source import equations
from derive import syntax as st


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
    return file_of(kernel.op, command, [function(kernel.op, p) for p in programs(kernel)])


def file_of(op: st.Op, command: str, kernels: Sequence[CFunction]) -> CFile:
    """The C source of functions, with the helpers that they need."""
    helpers = {h for f in kernels for h in f.helpers}
    doubles = {d for f in kernels for d in f.doubles}
    functions = {n for f in kernels for n in f.functions} | {n for d in doubles for n in DOUBLES[d]}
    return CFile(
        op=op.name,
        title=op.title or f"The op {op.name}.",
        command=command,
        equations=equations(op),
        source=op.source,
        helpers=ordered(helpers, HELPERS),
        functions=ordered(functions, FUNCTIONS),
        doubles=tuple(sorted(doubles)),
        kernels=tuple(kernels),
        uses_blas="matmul" in helpers,
    )
