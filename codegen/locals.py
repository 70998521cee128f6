"""Names for what a file calls something of its own, where the author's names are taken."""

from __future__ import annotations

from codegen.program import Kernel
from derive import syntax as st

__all__ = ["axes_of", "local", "names_in"]


def local(kernel: Kernel, wanted: str) -> str:
    """A name for something of the file's own in functions that have the kernel's names."""
    op = kernel.op
    held = {*names_in(kernel), *(t.name for t in op.inputs), *(c.name for c in op.constants), *axes_of(op)}
    while wanted in held:
        wanted += "_"
    return wanted


def names_in(kernel: Kernel) -> list[str]:
    """The tensors of both programs."""
    programs = (kernel.forward, kernel.backward)
    return [n for p in programs for n in (*(a.name for a in p.arguments), *(s.name for s in p.statements))]


def axes_of(op: st.Op) -> set[str]:
    """The axes of all tensors, which are those of reductions too."""
    slots = [i for index in (*(t.axes for t in op.inputs), *(e.index for e in op.equations)) for i in index]
    reduced = [i for e in op.equations for n in st.walk(e.rhs) if isinstance(n, st.Reduce) for i in n.index]
    return {st.axis_of(i) for i in (*slots, *reduced)}
