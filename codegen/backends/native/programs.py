"""The programs of an op that have a native kernel, their titles, and the lengths that the kernels take."""

from __future__ import annotations

from codegen.axes import lengths_used
from codegen.backends.native.step import has_step, step
from codegen.declared import declared_in
from codegen.loops.fused import forward_backward
from codegen.program import Kernel, Program
from derive import syntax as st
from derive.language.axes import equal_axes


def programs(kernel: Kernel) -> tuple[Program, ...]:
    """The programs that have a native kernel."""
    steps = (step(kernel),) if has_step(kernel.op.name) else ()
    return kernel.forward, kernel.backward, forward_backward(kernel), *steps


def axes_of(op: st.Op, program: Program) -> tuple[str, ...]:
    """The axes whose lengths a function takes, in order; of all axes of equal length the first."""
    root = equal_axes(op)
    used = {a for s in program.statements for a in lengths_used(s.index, s.tree)}
    given = [a for a, _ in op.packing.lengths if a in used]
    given += [a for a, _ in declared_in(op, program.arguments, program.statements) if a in used]
    axes = [*(st.axis_of(a) for argument in program.arguments for a in argument.axes), *given]
    axes += sorted(used) if program.part else []  # an argument of the whole has them
    return tuple(dict.fromkeys(root.get(a, a) for a in axes))


def title(op: st.Op, program: Program) -> str:
    """The title of a program: ``Forward and backward of tanh``, ``One step of rnn_forward``."""
    if program.part:
        return program.part
    kind = program.name.removeprefix(f"{op.name}_").replace("_", " and ")
    return f"{kind.capitalize()} of {op.name}"
