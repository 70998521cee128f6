"""The docstring of an emitted function: its equations, shapes, results and errors."""

from __future__ import annotations

import textwrap

from codegen.program import Kernel, Program
from derive import syntax as st
from derive.language.unicode import declared, language
from derive.show.solved import in_op

__all__ = ["WIDTH", "docstring"]

WIDTH = 118


def docstring(kernel: Kernel, program: Program, array: str, looks_up: bool, wanted: str = "") -> list[str]:
    """The lines of the docstring.

    ``array`` is the word for an array. ``looks_up`` says that labels may be out of range, and ``wanted`` is the argument by
    which the caller chooses gradients.
    """
    op, forward = kernel.op, program is kernel.forward
    title = "Forward" if forward else "Backward" if program is kernel.backward else "Jacobian-vector product"
    lines = [f"{title} of {op.name}.", ""]
    shifts = {c.name for c in program.shifts}  # each is read where it is: ``h[n, t - 1, k]``
    told = [s for s in program.statements if s.name not in shifts]
    lines += [line for s in told for line in _equation(op, s.name, s.index, s.tree)]
    lines += ["", "Shapes: " + ", ".join(_shaped(op, a.name, a.axes) for a in program.arguments) + "."]
    if forward:
        saved = ", ".join(t.name for t in kernel.saved) + ("," if len(kernel.saved) == 1 else "")
        outputs = ", ".join(t.name for t in op.results)
        lines.append(f"Returns {outputs}, and the tuple of what the backward needs: ({saved}).")
    else:
        lines.append(f"Returns {', '.join(program.results)}.")
        if wanted:
            lines[-1] += f" What is not in {wanted} is None, unless what is there needs it."
    last = ", IndexError for a label out of range." if looks_up else "."
    lines.append(f"Raises TypeError for what is no {array} of the right kind, ValueError for shapes that disagree{last}")
    results = {*(t.name for t in op.outputs)} if forward else {*program.results}
    if lost := [str(loss) for loss in kernel.losses if loss.name in results]:
        lines.append(f"Terms still cancel in {'; '.join(lost)}.")
    return [w for line in lines for w in (textwrap.wrap(line, WIDTH, subsequent_indent="    ") if line else [""])]


def _equation(op: st.Op, name: str, index: tuple[str, ...], tree: st.Tree) -> list[str]:
    text = f"    {declared(op, name, index)} = {language(in_op(op, tree), stars=op.stars)}"
    return textwrap.wrap(text, WIDTH, subsequent_indent=" " * 8, break_long_words=False)


def _shaped(op: st.Op, name: str, axes: tuple[str, ...]) -> str:
    return declared(op, name, axes) if axes else f"{name} scalar"
