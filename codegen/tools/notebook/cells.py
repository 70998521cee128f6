"""The cells that all notebooks share: equations in LaTeX, and adjoints with their functions."""

from __future__ import annotations

import importlib
from typing import Any

from codegen.backends.arrays.backend import ArrayBackend
from codegen.backends.arrays.discovery import arrays
from codegen.chain import chain_source, chain_statements
from codegen.program import Statement
from codegen.render import render
from codegen.source import FunctionSource
from derive import syntax as st
from derive.derivation import Derivation
from derive.show.latex import latex, left_side
from derive.show.show import adjoint_names, latex_parts
from derive.show.trees import TreeOf

__all__ = ["Cells", "aligned", "chain", "comparison", "derived", "helper", "listed", "notebook_of", "torch"]

Cells = list[tuple[str, str]]  # "markdown" or "code", and the text


def torch() -> ArrayBackend:
    """The backend of the cells' code: torch, since results are compared with autograd."""
    return arrays("torch")


def helper(name: str) -> str:
    """The source of a helper function that the cells' code calls."""
    return render("arrays/helper.py.j2", backend=torch().name, name=name).strip()


def notebook_of(cells: Cells) -> Any:
    """The cells as a notebook, not yet executed; the same at every call."""
    nbformat: Any = importlib.import_module("nbformat")
    make = {"markdown": nbformat.v4.new_markdown_cell, "code": nbformat.v4.new_code_cell}
    notebook = nbformat.v4.new_notebook(cells=[make[kind](text) for kind, text in cells])
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"  # random otherwise
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return notebook


def chain(full: Derivation, atol: float) -> Cells:
    """Every adjoint by the chain rule: its equation, its function, and its comparison with autograd.

    The cells read ``values``, ``autograd`` and ``manual``, and enter each result into ``manual``.
    """
    adjoints = adjoint_names(full) | {d.name for d in full.chain}
    statements = chain_statements(full)
    cells: Cells = [("markdown", "## The chain rule\n\nOne gradient for every name, from the loss back.")]
    for function in chain_source(full.op, torch(), "").adjoints:
        cells.append(("markdown", _adjoint(full, function.name, statements[function.name], adjoints)))
        cells.append(("code", _definition(function, adjoints, atol)))
    return cells


def _adjoint(full: Derivation, name: str, statements: list[Statement], adjoints: frozenset[str]) -> str:
    readers = [e for e in full.op.equations if st.primal_name(name) in set(st.reads(e.rhs))]
    forward = aligned([(e.name, e.index, e.rhs) for e in readers], adjoints)
    result = aligned([(s.name, s.index, s.tree) for s in statements], adjoints)
    return f"### {name}\n\n`{st.primal_name(name)}` is read by\n\n{forward}\n\nso that\n\n{result}"


def _definition(function: FunctionSource, adjoints: frozenset[str], atol: float) -> str:
    lines = [f"def {function.name}({function.signature}):"]
    lines += [f"    {line}" for line in (*function.prologue, *function.body)]
    lines += [f"    return {function.returned}", "", ""]
    names = [a.partition("=")[0] for a in function.signature.split(", ") if "=" not in a]
    arguments = ", ".join(f'{"manual" if n in adjoints else "values"}["{n}"]' for n in names)
    lines += [
        f'manual["{function.name}"] = {function.name}({arguments})',
        comparison(function.name, f'manual["{function.name}"]', atol),
    ]
    return "\n".join(lines)


def comparison(name: str, manual: str, atol: float = 1e-5) -> str:
    return f'torch.allclose({manual}, autograd["{name}"], atol={_plain(atol)})'


def _plain(tolerance: float) -> str:
    return f"{tolerance:.0e}".replace("e-0", "e-")


def listed(lines: list[str]) -> str:
    return "\n".join(["[", *(f"    {line}," for line in lines), "]"])


def aligned(equations: list[tuple[str, tuple[str, ...], st.Tree]], adjoints: frozenset[str]) -> str:
    lines = [f"{left_side(n, i, adjoints=adjoints)} &= {latex(tree, adjoints=adjoints)}" for n, i, tree in equations]
    return "\n".join(["$$", r"\begin{aligned}", " \\\\\n".join(lines), r"\end{aligned}", "$$"])


def derived(derivation: Derivation, tree_of: TreeOf) -> str:
    """The derivation as Markdown, each part under its title."""
    parts = latex_parts(derivation, tree_of=tree_of)
    return "\n\n".join("\n".join([f"**{title}**", "", *lines]) for title, lines in parts)
