"""Notebooks to fill in, notebooks that stand alone, code as a person writes it, and the page that a notebook becomes."""

from __future__ import annotations

import ast
import re
import sys

import numpy as np
import pytest

from codegen.backends.arrays.discovery import arrays
from codegen.chain import chain_source
from codegen.load import load_source
from codegen.recognise.labelled import Labelled
from derive import derive_full, load, parse

nbformat = pytest.importorskip("nbformat")
torch = pytest.importorskip("torch")

from codegen.tools.notebook import build_op, execute  # noqa: E402
from codegen.tools.notebook.run import progress  # noqa: E402

OURS = {"derive", "codegen", "generated", "tests", "backprop_ninja"}
GATHER = "loss = gather(z[n, c], w[n], t[n])\nt[n] in c\nloss = mean[n](w[n]*z[n, t[n]])"


def codes(notebook) -> list[str]:
    return [c.source for c in notebook.cells if c.cell_type == "code"]


def printed(notebook) -> str:
    outputs = [o for c in notebook.cells if c.cell_type == "code" for o in c.outputs]
    return "".join(o.get("text", "") + str(o.get("data", {}).get("text/plain", "")) for o in outputs)


# ---- code by hand -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_one_entry_of_each_row_is_assigned_to(backend) -> None:
    source = chain_source(parse(GATHER), arrays(backend), "", plain=True)
    (dz,) = [f for f in source.adjoints if f.name == "dz"]
    assert dz.body[-1].startswith("dz[range(n), t] = ") and "dloss / n" in dz.body[-1] and "w" in dz.body[-1]
    assert "zeros((n, c)" in dz.body[0]


def test_the_assigned_entries_are_those_of_the_kernel() -> None:
    lines = "y = two(z[n, c, k], u[k, n], t[n, k])\nt[n, k] in c\ny = sum[n, k](u[k, n]*z[n, t[n, k], k])"
    rng = np.random.default_rng(0)
    values = dict(dy=np.float64(3.0), z=rng.normal(size=(4, 5, 3)), u=rng.normal(size=(3, 4)), t=rng.integers(0, 5, (4, 3)))
    found = []
    for plain in (False, True):
        source = chain_source(parse(lines), arrays("numpy"), "", plain=plain)
        (f,) = [f for f in source.adjoints if f.name == "dz"]
        body = [f"def dz({f.signature}):", *(f"    {x}" for x in (*f.prologue, *f.body)), f"    return {f.returned}"]
        module = load_source("by_hand", "\n".join(["import numpy as np", *body]))
        names = [a.partition("=")[0] for a in f.signature.split(", ")]
        found.append(module.dz(**{n: values[n] for n in names}))
    np.testing.assert_array_equal(*found)
    assert any("] = " in line for line in f.body)


@pytest.mark.parametrize(
    ("equation", "is_one"),
    [
        ("y[n] = z[n, t[n]]", True),
        ("y[n] = 3*w[n]*z[n, t[n]]", True),
        ("y[n] = z[n, t[n]]*sum[c](z[n, c])", False),
        ("y[n] = w[n]*sum[m](z[m, t[n]])", False),
    ],
)
def test_what_is_one_entry_of_a_row(equation, is_one) -> None:
    op = parse(f"y[n] = f(z[{'m' if 'm]' in equation else 'n'}, c], w[n], t[n])\nt[n] in c\n{equation}")
    (line,) = [d for d in chain_lines(op) if d.name == "dz"]
    assert (Labelled.of(line.tree, line.index) is not None) == is_one


def chain_lines(op):
    from codegen.chain import chain_statements

    return [s for found in chain_statements(derive_full(op)).values() for s in found]


# ---- what stands in a notebook ----------------------------------------------------------------------------------------------


def test_a_gradient_has_its_shapes_its_local_derivative_and_its_line() -> None:
    text = "\n".join(c.source for c in build_op(load("batchnorm")).cells if c.source.startswith("### dgamma"))
    assert "comes back from y: sum over n and s" in text
    assert r"\frac{\partial y_{n,d,s}}{\partial \gamma_{d}} &=" in text
    assert "n and s are missing from dgamma, so sum over n and s." in text
    assert text.index("```text") < text.index(r"\partial") < text.index("so that")


def test_shapes_are_drawn_with_the_lengths_of_the_notebooks_own_arrays() -> None:
    text = "\n".join(c.source for c in build_op(load("softmax_cross_entropy")).cells)
    assert '"z": torch.randn(16, 17)' in text
    assert re.search(r"^dp +16 +17 +to find$", text, re.MULTILINE)


@pytest.mark.parametrize("name", ["batchnorm", "softmax_cross_entropy", "embedding"])
@pytest.mark.parametrize("blanks", [False, True])
def test_the_notebook_of_an_op_needs_nothing_of_this_project(name, blanks) -> None:
    for code in codes(build_op(load(name), blanks)):
        for node in ast.walk(ast.parse(code)):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {n.partition(".")[0] for n in names} & OURS
            assert {n.partition(".")[0] for n in names} <= {"math", "torch", "numpy", "matplotlib", "functools"}


def test_the_blanks_hide_their_answers() -> None:
    notebook = build_op(parse(GATHER), blanks=True)
    asked = [c for c in codes(notebook) if "return ..." in c]
    assert len(asked) == 2 and all('check("d' in c for c in asked)
    assert "dloss / n" not in "\n".join(codes(notebook))
    shown = next(c.source for c in notebook.cells if c.source.startswith("### dz"))
    assert shown.index("<summary>The line</summary>") < shown.index(r"\mathrm{d}z_{n,c} &=")


@pytest.mark.slow
def test_a_blank_is_checked_under_it() -> None:
    pytest.importorskip("ipykernel")
    notebook = build_op(load("tanh"), blanks=True)
    execute(notebook)
    assert "dx: not done yet" in printed(notebook)
    (cell,) = [c for c in notebook.cells if c.source.startswith("def dx(")]
    cell.source = cell.source.replace("return ...", "return dy * (1 - y**2)", 1)
    cell.source += '\ncheck("dx", values["y"])\ncheck("dx", values["y"].sum())'
    execute(notebook)
    assert "dx: right, the largest difference is " in printed(notebook)
    assert "dx: wrong, the largest difference is " in printed(notebook)
    assert "dx: the shape is (), and should be that of x, (4,)" in printed(notebook)


@pytest.mark.slow
def test_a_notebook_becomes_a_page_with_its_plot() -> None:
    pytest.importorskip("ipykernel")
    nbconvert = pytest.importorskip("nbconvert")
    notebook = build_op(parse(GATHER))
    seen: list[int] = []
    execute(notebook, seen.append)
    assert seen == list(range(len(notebook.cells)))
    page, _ = nbconvert.HTMLExporter().from_notebook_node(notebook)
    for part in ("Backprop by hand: gather", "The chain rule", "goes to the entries with c = t[n]", "data:image/png;base64,"):
        assert part in page
    assert "False" not in printed(notebook) and "Error" not in printed(notebook)


def test_progress_is_a_line_for_each_section_where_nobody_looks(capsys, monkeypatch) -> None:
    notebook = build_op(load("tanh"))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False, raising=False)
    seen = progress(notebook)
    for number in range(len(notebook.cells)):
        seen(number)
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        f"running: {s}" for s in ("The data", "The forward pass", "The chain rule", "The gradient flow", "The closed forms")
    ]
