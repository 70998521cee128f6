"""The cells that all notebooks share: equations in LaTeX, and adjoints with their functions."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from codegen.backends.arrays.backend import ArrayBackend
from codegen.backends.arrays.discovery import arrays
from codegen.render import adjoint, primal, render
from codegen.source import FunctionSource
from codegen.tools.learn.contributions import Contribution, contributions
from codegen.tools.learn.shapes import picture, rules
from codegen.tools.workbook import Blank, Exercise, exercise
from derive import syntax as st
from derive.derivation import Derivation
from derive.show.latex import latex, left_side
from derive.show.show import adjoint_names
from derive.show.solved import in_op
from derive.textbook.pages import textbook_parts

__all__ = ["Cells", "plotted", "aligned", "chain", "comparison", "derived", "helpers_of", "listed", "notebook_of", "torch"]

Cells = list[tuple[str, str]]  # "markdown" or "code", and the text


def torch() -> ArrayBackend:
    """The backend of the cells' code: torch, since results are compared with autograd."""
    return arrays("torch")


def helpers_of(names: Iterable[str]) -> list[str]:
    """The sources of the helper functions that the cells' code calls."""
    names = tuple(names)
    return [render("arrays/helper.py.j2", backend=torch().name, name=n, helpers=names).strip() for n in names]


def notebook_of(cells: Cells) -> Any:
    """The cells as a notebook, not yet executed; the same at every call."""
    nbformat: Any = importlib.import_module("nbformat")
    make = {"markdown": nbformat.v4.new_markdown_cell, "code": nbformat.v4.new_code_cell}
    notebook = nbformat.v4.new_notebook(cells=[make[kind](text) for kind, text in cells])
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"  # random otherwise
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return notebook


def chain(full: Derivation, sizes: Mapping[str, int], atol: float, blanks: bool = False) -> Cells:
    """Every adjoint by the chain rule: its shapes, its equation, its function, and its comparison with autograd.

    The cells read ``values``, ``autograd`` and ``manual``, and enter each result into ``manual``. ``sizes`` are the lengths of
    the axes of the notebook's arrays. With ``blanks`` the functions
    are left to be written, and every one is checked by itself: the later ones read autograd's gradients.
    """
    adjoints = adjoint_names(full) | {d.name for d in full.chain}
    found = exercise(full.op, torch().name)
    cells: Cells = [("markdown", f"## The chain rule\n\n{CHAIN}")]
    if blanks:
        cells += [("markdown", BLANKS), ("code", CHECK)]
    if found.helpers and not blanks:
        cells.append(("code", "\n\n\n".join(helpers_of(found.helpers))))
    for blank in found.blanks:
        cells.append(("markdown", _adjoint(found, blank, sizes, adjoints, blanks)))
        cells += _asked(blank.source, adjoints, atol) if blanks else [("code", _definition(blank.source, adjoints, atol))]
    return cells


CHAIN = """\
One gradient for every name, from the loss back. A gradient has the shape of its name: an axis that comes back and that the name
does not have is summed over."""

BLANKS = """\
Write each function in the place of `...`, and run the cell: the line under it compares with autograd. A gradient that comes
back is given as autograd found it, so that no line suffers from the one before."""

CHECK = f"""\
def check(name, found, atol=1e-5):
    \"\"\"Print how a gradient compares with autograd's, and return autograd's.\"\"\"
    right = autograd[name]
    if found is ...:
        print(f"{{name}}: not done yet")
    elif tuple(found.shape) != tuple(right.shape):
        own = {primal("name")}
        print(f"{{name}}: the shape is {{tuple(found.shape)}}, and should be that of {{own}}, {{tuple(right.shape)}}")
    else:
        same = torch.allclose(found, right, atol=atol)
        apart = (found - right).abs().max().item()
        print(f"{{name}}: {{'right' if same else 'wrong'}}, the largest difference is {{apart:.2g}}")
    return right"""


def _adjoint(found: Exercise, blank: Blank, sizes: Mapping[str, int], adjoints: frozenset[str], hidden: bool) -> str:
    parts = contributions(found, blank)
    forward = aligned([(e.name, e.index, in_op(found.op, e.rhs)) for e in blank.readers], adjoints)
    result = aligned([(e.name, e.index, in_op(found.op, e.rhs)) for e in blank.lines], adjoints)
    shapes = "\n".join(picture(blank.name, parts, sizes))
    told = "\n".join(f"- {line}" for p in parts for line in rules(blank.name, p))
    shown = f"```text\n{shapes}\n```\n\n{told}" if shapes else told
    local = _local(parts, adjoints)
    if hidden:
        local = f"<details><summary>The local derivative</summary>\n\n{local}\n\n</details>" if local else ""
        ending = f"<details><summary>The line</summary>\n\n{result}\n\n</details>"
    else:
        ending = f"so that\n\n{result}"
    head = f"### {blank.name}\n\n`{blank.of}` is read by\n\n{forward}"
    return "\n\n".join(filter(None, [head, shown, local, ending]))


def _local(parts: Sequence[Contribution], adjoints: frozenset[str]) -> str:
    """The local derivatives, one line each; "" where nothing is differentiated."""
    lines = []
    for p in parts:
        if p.reader is not None:
            value, by = (latex(read, adjoints=adjoints) for read in p.derivative)
            lines.append(rf"\frac{{\partial {value}}}{{\partial {by}}} &= {latex(p.local, adjoints=adjoints)}")
    if not lines:
        return ""
    return "\n".join(["$$", r"\begin{aligned}", " \\\\\n".join(dict.fromkeys(lines)), r"\end{aligned}", "$$"])


def _asked(function: FunctionSource, adjoints: frozenset[str], atol: float) -> Cells:
    """The function with its body to be written, and its check."""
    body = [f"def {function.name}({function.signature}):", "    return ...", "", ""]
    body.append(f'manual["{function.name}"] = check("{function.name}", {_call(function, adjoints)}, {_plain(atol)})')
    return [("code", "\n".join(body))]


def _definition(function: FunctionSource, adjoints: frozenset[str], atol: float) -> str:
    lines = [f"def {function.name}({function.signature}):"]
    lines += [f"    {line}" for line in (*function.prologue, *function.body)]
    lines += [f"    return {function.returned}", "", ""]
    lines += [
        f'manual["{function.name}"] = {_call(function, adjoints)}',
        comparison(function.name, f'manual["{function.name}"]', atol),
    ]
    return "\n".join(lines)


def _call(function: FunctionSource, adjoints: frozenset[str]) -> str:
    names = [a.partition("=")[0] for a in function.signature.split(", ") if "=" not in a]
    arguments = ", ".join(f'{"manual" if n in adjoints else "values"}["{n}"]' for n in names)
    return f"{function.name}({arguments})"


def plotted() -> Cells:
    """How large values and gradients are, name by name: where the one shrinks or grows, a gradient vanishes or explodes."""
    text = "The root mean squares of all gradients, from the loss back, and of the values that they belong to."
    return [("markdown", f"## The gradient flow\n\n{text}"), ("code", PLOT)]


PLOT = f"""\
import matplotlib.pyplot as plt


def size(tensor):
    return tensor.double().square().mean().sqrt().item()


names = [{primal("n")} for n in manual if {primal("n")} in values]
figure, both = plt.subplots(1, 2, figsize=(10, 1 + 0.24 * len(names)), sharey=True, layout="constrained")
for axes, title, sizes in (
    (both[0], "values", [size(values[n]) for n in names]),
    (both[1], "gradients", [size(manual[f"{adjoint("{n}")}"]) for n in names]),
):
    shown = [max(s, 1e-12) for s in sizes]  # an axis of powers of ten has no 0
    axes.hlines(range(len(names)), min(shown), shown, color="0.8")
    axes.plot(shown, range(len(names)), "o", color="tab:blue")
    axes.set_xscale("log")
    axes.set_title(title)
both[0].set_yticks(range(len(names)), names)
both[0].invert_yaxis()
plt.show()"""


def comparison(name: str, manual: str, atol: float = 1e-5) -> str:
    return f'torch.allclose({manual}, autograd["{name}"], atol={_plain(atol)})'


def _plain(tolerance: float) -> str:
    return f"{tolerance:.0e}".replace("e-0", "e-")


def listed(lines: list[str]) -> str:
    return "\n".join(["[", *(f"    {line}," for line in lines), "]"])


def aligned(equations: list[tuple[str, tuple[str, ...], st.Tree]], adjoints: frozenset[str]) -> str:
    lines = [f"{left_side(n, i, adjoints=adjoints)} &= {latex(tree, adjoints=adjoints)}" for n, i, tree in equations]
    return "\n".join(["$$", r"\begin{aligned}", " \\\\\n".join(lines), r"\end{aligned}", "$$"])


def derived(op: st.Op) -> str:
    """The derivation as a textbook has it, in Markdown, each part under its title."""
    return "\n\n".join("\n".join([f"**{title}**", "", *_apart(lines)]) for title, lines in textbook_parts(op))


def _apart(lines: Sequence[str]) -> list[str]:
    """The lines of a part, with a blank line between words and the equations after them."""
    at = next((k for k, line in enumerate(lines) if line.startswith(r"\begin")), 0)
    return [*lines[:at], *([""] if at else []), *lines[at:]]
