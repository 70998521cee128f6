"""The exercise: every gradient from the cross-entropy back to the embedding is derived, coded and compared with autograd's.

Then a network is trained with them. The derivations are typeset from the trees that the code is printed from.
"""

from __future__ import annotations

from typing import Any

from codegen.escape import markdown
from codegen.tools.notebook.cells import Cells, aligned, chain, comparison, derived, listed, notebook_of, plotted
from derive import derive_full, load
from derive.called import KERNELS
from derive.derivation import Derivation

__all__ = ["build"]

STEPS = 5000

SETUP = f"""\
import inspect
import math

import torch

from {KERNELS}.makemore import Settings, library_words, smoothed, train
from {KERNELS}.makemore_gradients import problem

values, autograd = problem()  # one batch: every value of the forward pass, and every gradient that autograd finds
manual = {{"dloss": torch.ones(())}}  # the gradients found here"""

#: The network's layers, from the loss back: the op, the call of its backward, and the gradients that the call gives.
LAYERS = (
    ("softmax_cross_entropy", '(manual["dloss"], values["probs"], values["t"])', ("dlogits",)),
    ("linear", '(dlogits, values["h"], values["W2"])', ("dh", "dW2", "db2")),
    ("tanh", '(dh, values["h"])', ("dhpreact",)),
    (
        "batchnorm",
        '(dhpreact, values["bnraw"], values["bnvar_inv"], values["bngain"], ddof=1)',
        ("dhprebn", "dbngain", "dbnbias"),
    ),
    ("linear", '(dhprebn, values["embcat"], values["W1"])', ("dembcat", "dW1", "db1")),
    ("embedding", '(dembcat.reshape(values["emb"].shape), values["C"], values["x"])', ("dC",)),
)

#: The gradients that the layers' kernels have in two dimensions, with axes merged.
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


def build(name: str, blanks: bool = False) -> Any:
    """The notebook of an op that has a chain file, not yet executed; with ``blanks`` the gradients are left to be found."""
    full = derive_full(load(name))
    rest = [] if blanks else [*_closed(), *_training()]
    return notebook_of([*_opening(full), ("code", SETUP), *chain(full, dict(full.op.sizes), 1e-5, blanks), *plotted(), *rest])


def _opening(full: Derivation) -> Cells:
    op = full.op
    text = f"# Backprop by hand: {op.name}\n\n{markdown(op.title)}\n\nThe forward pass:"
    return [("markdown", f"{text}\n\n{aligned([(e.name, e.index, e.rhs) for e in op.equations], frozenset())}")]


def _closed() -> Cells:
    """The layers of the network from the loss back: the derivation of the closed form, the kernel, the comparison."""
    text = "The same gradients layer by layer, by the kernels: each derivation ends in what its kernel computes."
    cells: Cells = [("markdown", f"## The closed forms\n\n{text}")]
    seen: set[str] = set()
    for op, call, gradients in LAYERS:
        function = f"{op}_backward"
        title = f"### {', '.join(gradients)}: {op}"
        if op in seen:
            cells.append(("markdown", title))
        else:
            seen.add(op)
            cells.append(("markdown", f"{title}\n\n{derived(load(op))}"))
            cells.append(("code", f"from {KERNELS}.torch import {function}\n\nprint(inspect.getsource({function}))"))
        lines = [f"{', '.join(gradients)} = {function}{call}"]
        same = [comparison(g, f'{g}.view_as(autograd["{g}"])' if g in FLAT else g) for g in gradients]
        lines.append(same[0] if len(same) == 1 else listed(same))
        cells.append(("code", "\n".join(lines)))
    return cells


def _training() -> Cells:
    text = f"## A trained network\n\n{STEPS} steps with these kernels in NumPy, without autograd."
    return [("markdown", text), ("code", TRAINING), ("code", PLOT)]
