"""An op as a notebook: its gradients are derived, coded and compared with autograd's. Without an op, the exercise."""

from __future__ import annotations

from pathlib import Path

from codegen.tools.notebook.exercise import build
from codegen.tools.notebook.op import build_op
from codegen.tools.notebook.run import execute, save
from derive import load
from derive.called import HOME
from derive.syntax import Op

__all__ = ["build", "build_op", "execute", "main"]

#: The default folder of notebooks, which is not tracked.
FOLDER = HOME / "out"
#: The op of the exercise.
EXERCISE = "makemore"


def main(op: Op | None = None, path: Path | None = None, blanks: bool = False, alone: bool = False) -> int:
    """Write and execute the notebook of an op, or of the exercise; returns the exit status.

    ``blanks`` leaves the gradients to be found. ``alone`` makes the exercise on random data, so that it needs nothing of this
    project; an op's notebook never does. Raises OpError for an op that has nothing to differentiate.
    """
    kind = "_blanks" if blanks else ""
    if op is None and not alone:
        return save(lambda: build(EXERCISE, blanks), path or FOLDER / f"{EXERCISE}{kind}.ipynb")
    whole = op or load(EXERCISE)
    name = f"{whole.name}_op" if op else f"{whole.name}_alone"
    return save(lambda: build_op(whole, blanks), path or FOLDER / f"{name}{kind}.ipynb")
