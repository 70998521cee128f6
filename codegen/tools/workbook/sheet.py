"""The file of an exercise, with its blanks empty or filled."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

from codegen.backends.arrays.discovery import arrays
from codegen.format import format_python
from codegen.lengths import chosen_axes, whole_numbers
from codegen.render import render
from codegen.source import Code, code
from codegen.tools.auditor.samples import Free, lengths
from codegen.tools.workbook.blanks import Blank, Exercise
from codegen.tools.workbook.lengths import axis_lengths
from derive import syntax as st
from derive.called import program
from derive.labels import VALUES, label_values
from derive.language.unicode import declared, language
from derive.show.solved import in_op

__all__ = ["function_name", "sheet"]


def sheet(exercise: Exercise, file: str, *, solved: bool = False, command: str = "") -> str:
    """The source of an exercise, to be saved as ``file``.

    The source is one function, in which every gradient is ``...`` or, if ``solved``, its code. ``command`` is the op as an
    argument of the command line, quoted for a shell.
    """
    op = exercise.op
    measured = axis_lengths(op)
    known = set(measured)
    blanks = [
        {
            "name": b.name,
            "of": b.of,
            "doc": _doc(op, b),
            "lines": code(_solution(b, known) if solved else [f"{b.name} = ..."]),
        }
        for b in exercise.blanks
    ]
    forward = [_equation(op, e) for e in op.equations]
    source = render(
        f"{exercise.backend}/exercise.py.j2",
        op=op.name,
        title=op.title.partition("\n")[0],
        program=program("codegen"),
        command=command or op.name,
        file=shlex.quote(file),
        count=len(blanks),
        function=function_name(op),
        signature=_signature(op),
        shapes=_shapes(op),
        lengths=code(list(dict.fromkeys(measured.values()))),
        forward=forward,
        handed=exercise.handed,
        blanks=blanks,
        returned=", ".join(st.adjoint_name(t.name) for t in op.differentiable),
        backend=exercise.backend,
        library=arrays(exercise.backend).library,
        helpers=exercise.helpers,
        imports=["math"] if any("math." in line for line in _code_of(exercise, blanks)) else [],
        solved=solved,
        **_running(exercise),
    )
    return format_python({"exercise.py": source}, imports=False)["exercise.py"]


def _code_of(exercise: Exercise, blanks: list[dict[str, Any]]) -> Iterator[str]:
    """The lines that print numbers or call what is imported: of the forward pass, the solutions and the helpers."""
    yield from exercise.forward.body
    for b in blanks:
        yield from b["lines"]
    for name in exercise.helpers:
        yield render("arrays/helper.py.j2", backend=exercise.backend, name=name, helpers=exercise.helpers)


def _running(exercise: Exercise) -> dict[str, object]:
    """What the file needs to run by itself: a batch, the forward pass as code, and what is compared."""
    op, forward = exercise.op, exercise.forward
    lengths_of = {a: n for a, n in lengths(op, Free(), 0).items() if a in chosen_axes(op)}
    inputs = [
        {
            "name": t.name,
            **_drawn(op, t, lengths_of),
            "shape": _shape(["*".join(g) for g in op.packing.slots(t.name, t.axes)]),
            "seed": k,
            **_bounded(op, t.name),
        }
        for k, t in enumerate(op.inputs)
    ]
    needed, whole = [c.name for c in op.constants if not c.default], whole_numbers(op)
    given = [f'"{c}": {whole.get(c, 0.3)}' for c in needed]
    body = [*forward.prologue, *forward.body]
    pairs = [(t.name, st.adjoint_name(t.name)) for t in op.outputs]
    return {
        "sizes": list(lengths_of.items()),
        "inputs": inputs,
        "given": Code("{" + ", ".join([*(f'"{t.name}": {t.name}' for t in op.inputs), *given]) + "}"),
        "taken": forward.signature,
        "values": code(body),
        "outputs": Code(repr(tuple(pairs))),
        "compared": Code(repr(tuple((b.of, b.name) for b in exercise.blanks))),
        "defaults": Code("{" + ", ".join(f'"{c.name}": {c.default}' for c in op.constants if c.default) + "}"),
        "upstream": [{"name": st.adjoint_name(t.name), "of": t.name, "scalar": not t.axes} for t in op.outputs],
        "passed": Code(repr(tuple([*(t.name for t in op.inputs), *(e.name for e in op.equations), *needed]))),
    }


def _drawn(op: st.Op, t: st.Tensor, sizes: dict[str, int]) -> dict[str, object]:
    """How an integer tensor is drawn: from how many values, which others there are, and whether they become booleans."""
    if not t.labels:
        return {"labels": ""}
    values = label_values(op, t, sizes, whole_numbers(op))
    own = Code(t.indexed) if t.indexed else Code("4" if t.labels == st.TRUTH else str(VALUES))
    others = [v for v in values if not 0 <= v < (sizes[t.indexed] if t.indexed else VALUES)]
    count = Code(f"{own} + {len(others)}") if others else own
    every = Code(f"[*range({own}), {', '.join(map(str, others))}]") if others else ""
    return {"labels": t.labels, "count": count, "others": every, "truth": t.labels == st.TRUTH}


def _shape(parts: list[str]) -> Code:
    return Code(", ".join(parts) + ("," if len(parts) == 1 else ""))


def _bounded(op: st.Op, name: str) -> dict[str, Code]:
    """What is put around random numbers so that they are within the bounds of one side that the op assumes."""
    for a in op.assumptions:
        if isinstance(a.left, st.Read) and a.left.name == name and a.rel[0] in "<>":
            bound = float(a.right.value) if isinstance(a.right, st.Num) else 0.0
            sign = "+" if a.rel[0] == ">" else "-"
            return {"before": Code(f"{bound} {sign} 0.1 {sign} abs("), "after": Code(")")}
    return {"before": Code(""), "after": Code("")}


def function_name(op: st.Op) -> str:
    """The name of the function to fill in."""
    return f"{op.name}_backward"


def _equation(op: st.Op, equation: st.Equation) -> str:
    return f"{declared(op, equation.name, equation.index)} = {language(in_op(op, equation.rhs))}"


def _doc(op: st.Op, blank: Blank) -> list[str]:
    read = [_equation(op, e) for e in blank.readers]
    shape = declared(op, blank.name, blank.index).removeprefix(blank.name) if blank.index else "a number"
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
    said = {None: "", st.WHOLE: " of integers", st.TRUTH: " of booleans"}
    return [declared(op, t.name, t.axes) + said.get(t.labels, f" with labels in {t.labels}") for t in op.inputs]
