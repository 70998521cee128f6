"""The exercise as a notebook: every gradient from the cross-entropy back to the embedding, derived, coded and compared.

The derivations are typeset from the same trees that the code was printed from. Needs nbformat, nbclient and ipykernel.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

from codegen.chain import chain_source, chain_statements
from codegen.program import Statement
from codegen.source import FunctionSource
from derive import derive, derive_full, load
from derive import syntax as st
from derive.derivation import Derivation
from derive.display import tree_of
from derive.latex import latex, left_side
from derive.show import adjoint_names, show_latex

__all__ = ["build", "execute", "main"]

ROOT = Path(__file__).resolve().parent.parent
#: Where the notebook goes; it is not tracked.
PATH = ROOT / "out" / "makemore.ipynb"
STEPS = 5000

Cells = list[tuple[str, str]]  # "markdown" or "code", and the text

SETUP = """\
import inspect

import torch

from generated.makemore import Settings, library_words, smoothed, train
from generated.makemore_gradients import problem

values, autograd = problem()  # one batch: every value of the forward pass, and every gradient that autograd finds
manual = {"dloss": torch.ones(())}  # the gradients found here"""

#: The network's layers from the loss back: op, how its backward is called, and the gradients that it gives.
LAYERS = (
    ("softmax_cross_entropy", '(manual["dloss"], values["probs"], values["t"])', ("dlogits",)),
    ("linear", '(dlogits, values["h"], values["W2"])', ("dh", "dW2", "db2")),
    ("tanh", '(dh, values["h"])', ("dhpreact",)),
    (
        "batchnorm",
        '(dhpreact, values["bnraw"], values["bnvar_inv"], values["bngain"], ddof=1)',
        ("dhprebn", "dbngain", "dbnbias"),
    ),
    ("linear", '(dhprebn, values["embcat"].flatten(1), values["W1"].flatten(0, 1))', ("dembcat", "dW1", "db1")),
    ("embedding", '(dembcat.reshape(values["emb"].shape), values["C"], values["x"])', ("dC",)),
)

#: What the layers have with its axes side by side.
FLAT = ("dembcat", "dW1")

TRAINING = f"""\
result = train(library_words(), Settings(steps={STEPS}))
print(f"train loss {{result.train_loss:.3f}}, validation loss {{result.validation_loss:.3f}}")
print(*result.sample())"""

PLOT = """\
import matplotlib.pyplot as plt

plt.plot(*smoothed(result.losses, 200))
plt.xlabel("step")
plt.ylabel("loss")
plt.show()"""


def main() -> int:
    """Write and execute the notebook; 1 with a message where what that takes is not installed or a cell fails."""
    try:
        import ipykernel  # noqa: F401
        import matplotlib  # noqa: F401
        import nbclient
        import torch  # noqa: F401

        nbformat: Any = importlib.import_module("nbformat")
    except ImportError as error:
        print(f"error: the notebook needs {error.name}: pip install 'backprop-ninja[dev]'", file=sys.stderr)
        return 1
    notebook = build("makemore")
    nbformat.validate(notebook)
    PATH.parent.mkdir(parents=True, exist_ok=True)
    try:
        execute(notebook)
    except nbclient.exceptions.CellExecutionError as error:
        print(f"error: a cell of the notebook failed:\n{error}", file=sys.stderr)
        return 1
    finally:
        nbformat.write(notebook, PATH)
    shown = PATH.relative_to(Path.cwd()) if PATH.is_relative_to(Path.cwd()) else PATH
    print(f"{len(notebook.cells)} cells written to {shown}")
    return 0


def execute(notebook: Any) -> None:
    """Run every cell in a kernel of this environment, in the repository's folder (CellExecutionError if one fails)."""
    from nbclient import NotebookClient

    where = {"metadata": {"path": str(ROOT)}}
    quiet = ["--log-level=ERROR"]
    NotebookClient(notebook, timeout=600, kernel_name="python3", resources=where, extra_arguments=quiet).execute()


def build(name: str) -> Any:
    """The notebook of an op that has a chain file, not yet executed."""
    nbformat: Any = importlib.import_module("nbformat")
    full = derive_full(load(name))
    cells = [*_opening(full), ("code", SETUP), *_chain(full), *_closed(), *_training()]
    make = {"markdown": nbformat.v4.new_markdown_cell, "code": nbformat.v4.new_code_cell}
    notebook = nbformat.v4.new_notebook(cells=[make[kind](text) for kind, text in cells])
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"  # random otherwise
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return notebook


def _opening(full: Derivation) -> Cells:
    op = full.op
    text = f"# Backprop by hand: {op.name}\n\n{op.title}\n\nThe forward pass:"
    return [("markdown", f"{text}\n\n{_aligned([(e.name, e.index, e.rhs) for e in op.equations], frozenset())}")]


def _chain(full: Derivation) -> Cells:
    """Every adjoint as the chain rule gives it: its equation, its function, its comparison."""
    adjoints = adjoint_names(full)
    statements = chain_statements(full)
    cells: Cells = [("markdown", "## The chain rule\n\nOne gradient for every name, from the loss back.")]
    for function in chain_source(full.op, "torch", "").adjoints:
        cells.append(("markdown", _adjoint(full, function.name, statements[function.name], adjoints)))
        cells.append(("code", _definition(function, adjoints)))
    return cells


def _adjoint(full: Derivation, name: str, statements: list[Statement], adjoints: frozenset[str]) -> str:
    readers = [e for e in full.op.equations if name[1:] in set(st.reads(e.rhs))]
    forward = _aligned([(e.name, e.index, e.rhs) for e in readers], adjoints)
    result = _aligned([(s.name, s.index, s.tree) for s in statements], adjoints)
    return f"### {name}\n\n`{name[1:]}` is read by\n\n{forward}\n\nso that\n\n{result}"


def _definition(function: FunctionSource, adjoints: frozenset[str]) -> str:
    lines = [f"def {function.name}({function.signature}):"]
    lines += [f"    {line}" for line in (*function.prologue, *function.body)]
    lines += [f"    return {function.returned}", "", ""]
    names = [a.partition("=")[0] for a in function.signature.split(", ") if "=" not in a]
    arguments = ", ".join(f'{"manual" if n in adjoints else "values"}["{n}"]' for n in names)
    lines += [
        f'manual["{function.name}"] = {function.name}({arguments})',
        _comparison(function.name, f'manual["{function.name}"]'),
    ]
    return "\n".join(lines)


def _closed() -> Cells:
    """The layers of the network from the loss back: the derivation of the closed form, the kernel, the comparison."""
    text = "The same gradients layer by layer, by the kernels: each derivation ends in the expression that is run."
    cells: Cells = [("markdown", f"## The closed forms\n\n{text}")]
    seen: set[str] = set()
    for op, call, gradients in LAYERS:
        function = f"{op}_backward"
        title = f"### {', '.join(gradients)}: {op}"
        if op in seen:
            cells.append(("markdown", title))
        else:
            seen.add(op)
            derivation = derive(load(op))
            fragment = show_latex(derivation, tree_of=tree_of(derivation.op, derivation.forward))
            cells.append(("markdown", f"{title}\n\n{_for_markdown(fragment)}"))
            cells.append(("code", f"from generated.torch import {function}\n\nprint(inspect.getsource({function}))"))
        lines = [f"{', '.join(gradients)} = {function}{call}"]
        same = [_comparison(g, f'{g}.view_as(autograd["{g}"])' if g in FLAT else g) for g in gradients]
        lines.append(same[0] if len(same) == 1 else _listed(same))
        cells.append(("code", "\n".join(lines)))
    return cells


def _listed(lines: list[str]) -> str:
    return "\n".join(["[", *(f"    {line}," for line in lines), "]"])


def _training() -> Cells:
    text = f"## A trained network\n\n{STEPS} steps with these kernels in NumPy, without autograd."
    return [("markdown", text), ("code", TRAINING), ("code", PLOT)]


def _comparison(name: str, manual: str) -> str:
    return f'torch.allclose({manual}, autograd["{name}"], atol=1e-5)'


def _aligned(equations: list[tuple[str, tuple[str, ...], st.Tree]], adjoints: frozenset[str]) -> str:
    lines = [f"{left_side(n, i, adjoints=adjoints)} &= {latex(tree, adjoints=adjoints)}" for n, i, tree in equations]
    return "\n".join(["$$", r"\begin{aligned}", " \\\\\n".join(lines), r"\end{aligned}", "$$"])


def _for_markdown(fragment: str) -> str:
    """A fragment of LaTeX with the commands that belong to the page, and not to mathematics, left out."""
    out: list[str] = []
    for line in fragment.splitlines():
        if line in (r"\begingroup", r"\endgroup", r"\allowdisplaybreaks"):
            continue
        if line.startswith(r"\subsection*{"):
            title = line.partition("{")[2].removesuffix("}")
            out += ["", f"**{title}**", ""]
        else:
            out.append(line)
    return "\n".join(out).strip()


if __name__ == "__main__":
    sys.exit(main())
