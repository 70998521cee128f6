"""The file of an exercise, with its blanks empty or filled."""

from __future__ import annotations

import shlex

from codegen.backends.arrays.discovery import arrays
from codegen.format import format_python
from codegen.render import render
from codegen.source import Code, code
from codegen.tools.workbook.blanks import Blank, Exercise
from derive import syntax as st
from derive.called import program
from derive.language.unicode import language

__all__ = ["function_name", "sheet"]


def sheet(exercise: Exercise, file: str, *, solved: bool = False, command: str = "") -> str:
    """The source of an exercise, to be saved as ``file``.

    The source is one function, in which every gradient is ``...`` or, if ``solved``, its code. ``command`` is the op as an
    argument of the command line, quoted for a shell.
    """
    op = exercise.op
    known: set[str] = set()
    blanks = [
        {
            "name": b.name,
            "doc": _doc(b),
            "lines": code(_solution(b, known) if solved else [f"{b.name} = ..."]),
        }
        for b in exercise.blanks
    ]
    forward = [_equation(e) for e in op.equations]
    source = render(
        "workbook/exercise.py.j2",
        op=op.name,
        title=op.title.partition("\n")[0],
        program=program("codegen"),
        command=command or op.name,
        file=shlex.quote(file),
        count=len(blanks),
        function=function_name(op),
        signature=_signature(op),
        shapes=_shapes(op),
        forward=forward,
        blanks=blanks,
        returned=", ".join(st.adjoint_name(t.name) for t in op.differentiable),
        backend=exercise.backend,
        library=arrays(exercise.backend).library,
        helpers=exercise.helpers if solved else (),
        imports=["math"] if any("math." in line for b in blanks for line in b["lines"]) else [],
        solved=solved,
    )
    return format_python({"exercise.py": source}, imports=False)["exercise.py"]


def function_name(op: st.Op) -> str:
    """The name of the function to fill in."""
    return f"{op.name}_backward"


def _equation(equation: st.Equation) -> str:
    return f"{language(st.Read(equation.name, equation.index))} = {language(equation.rhs)}"


def _doc(blank: Blank) -> list[str]:
    read = [_equation(e) for e in blank.readers]
    shape = f"[{', '.join(blank.index)}]" if blank.index else "a number"
    return [f"{blank.name}, {shape}; {blank.of} is read by", *(f"  {line}" for line in read)]


def _solution(blank: Blank, known: set[str]) -> list[str]:
    """The code of a blank. Lengths that an earlier blank has read are not read again."""
    source = blank.source
    lines = []
    for line in source.prologue:
        names = {n.strip() for n in line.partition(" = ")[0].split(",")}
        if not names <= known:
            lines.append(line)
            known |= names
    return [*lines, *source.body, *([f"{blank.name} = {source.returned}"] if source.returned != blank.name else [])]


def _signature(op: st.Op) -> Code:
    names = [*(st.adjoint_name(t.name) for t in op.outputs), *(t.name for t in op.inputs), *(e.name for e in op.equations)]
    return Code(", ".join([*names, *(f"{c.name}={c.default}" if c.default else c.name for c in op.constants)]))


def _shapes(op: st.Op) -> list[str]:
    return [language(st.Read(t.name, t.axes)) + (f" with labels in {t.labels}" if t.labels else "") for t in op.inputs]
