"""Hints for one blank, one step of its derivation at a time."""

from __future__ import annotations

from codegen.tools.workbook.blanks import Blank
from derive import syntax as st
from derive.language.unicode import equation_text, text

__all__ = ["hint"]


def hint(blank: Blank, step: int = 1) -> str:
    """Step number ``step`` of a gradient's derivation (ValueError beyond the last).

    The first step names the equations that read the name. Each further step gives what flows back through one of these
    equations. The last step is the whole line.
    """
    steps = _steps(blank)
    if not 1 <= step <= len(steps):
        raise ValueError(f"{blank.name} has the steps 1 to {len(steps)}, and no step {step}")
    more = f"; --step {step + 1} shows the next" if step < len(steps) else ""
    return f"{steps[step - 1]}\n(step {step} of {len(steps)}{more})"


def _steps(blank: Blank) -> list[str]:
    readers = "\n".join(f"  {equation_text(e)}" for e in blank.readers)
    line = blank.lines[-1]
    steps = [f"{blank.of} is read by\n{readers}\nand each of them sends something back to {blank.name}."]
    terms = line.rhs.args if isinstance(line.rhs, st.Add) else ()
    for number, term in enumerate(terms):
        also = " also" if number else ""
        steps.append(f"{text(st.Read(line.name, line.index))}{also} has the term\n  {text(term)}")
    whole = "\n".join(f"  {equation_text(e)}" for e in blank.lines)
    return [*steps, f"by the chain rule\n{whole}"]
