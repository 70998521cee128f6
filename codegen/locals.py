"""Names for the local variables of emitted functions, which give way to the author's names."""

from __future__ import annotations

from codegen.program import Kernel
from derive import syntax as st

__all__ = ["axes_of", "local", "names_in"]


def local(kernel: Kernel, wanted: str) -> str:
    """A name for a local variable of the kernel's functions: ``wanted``, with underscores until no tensor or axis has it."""
    op = kernel.op
    held = {*names_in(kernel), *(t.name for t in op.inputs), *(c.name for c in op.constants), *axes_of(op)}
    while wanted in held:
        wanted += "_"
    return wanted


def names_in(kernel: Kernel) -> list[str]:
    """The tensors of all programs."""
    return [n for p in kernel.programs for n in (*(a.name for a in p.arguments), *(s.name for s in p.statements))]


def axes_of(op: st.Op) -> set[str]:
    """The axes of all tensors and of all reductions."""
    slots = [i for index in (*(t.axes for t in op.inputs), *(e.index for e in op.equations)) for i in index]
    reduced = [i for e in op.equations for n in st.walk(e.rhs) if isinstance(n, st.Reduce) for i in n.index]
    return {st.axis_of(i) for i in (*slots, *reduced)}
