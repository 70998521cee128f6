"""An op as a notebook: its gradients are derived, coded and compared with autograd's. Without an op, the exercise."""

from __future__ import annotations

from pathlib import Path

from codegen.tools.notebook.exercise import build
from codegen.tools.notebook.op import build_op
from codegen.tools.notebook.run import execute, save
from derive.called import HOME
from derive.syntax import Op

__all__ = ["build", "build_op", "execute", "main"]

#: The default folder of notebooks, which is not tracked.
FOLDER = HOME / "out"


def main(op: Op | None = None, path: Path | None = None) -> int:
    """Write and execute the notebook of an op, or of the exercise; returns the exit status.

    Raises OpError for an op that has nothing to differentiate.
    """
    if op is None:
        return save(lambda: build("makemore"), path or FOLDER / "makemore.ipynb")
    return save(lambda: build_op(op), path or FOLDER / f"{op.name}_op.ipynb")
