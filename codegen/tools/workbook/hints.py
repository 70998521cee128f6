"""Hints for one blank, one step of its derivation at a time."""

from __future__ import annotations

from dataclasses import replace

from codegen.tools.workbook.blanks import Blank, Exercise
from derive import syntax as st
from derive.language.unicode import equation_text, text
from derive.show.solved import in_op

__all__ = ["hint"]


def hint(exercise: Exercise, name: str, step: int = 1) -> str:
    """Step number ``step`` of the derivation of the gradient called ``name`` (ValueError for another name, or beyond the last).

    The first step names the equations that read the name. Each further step gives what flows back through one of these
    equations. The last step is the whole line.
    """
    blank = exercise.blank(name)
    steps = _steps(exercise.op, blank)
    if not 1 <= step <= len(steps):
        raise ValueError(f"{blank.name} has the steps 1 to {len(steps)}, and no step {step}")
    more = f"; --step {step + 1} shows the next" if step < len(steps) else ""
    return f"{steps[step - 1]}\n(step {step} of {len(steps)}{more})"


def _steps(op: st.Op, blank: Blank) -> list[str]:
    def shown(e: st.Equation) -> str:
        return equation_text(replace(e, rhs=in_op(op, e.rhs)))

    readers = "\n".join(f"  {shown(e)}" for e in blank.readers)
    line = blank.lines[-1]
    steps = [f"{blank.of} is read by\n{readers}\nand each of them sends something back to {blank.name}."]
    terms = line.rhs.args if isinstance(line.rhs, st.Add) else ()
    for number, term in enumerate(terms):
        also = " also" if number else ""
        steps.append(f"{text(st.Read(line.name, line.index))}{also} has the term\n  {text(in_op(op, term))}")
    whole = "\n".join(f"  {shown(e)}" for e in blank.lines)
    return [*steps, f"by the chain rule\n{whole}"]
