"""The files of the exercise that are no op's: the training command, and its gradients beside autograd's."""

from __future__ import annotations

from codegen.chain import chain_ops, render_chain
from codegen.layout import PRINTERS
from codegen.render import render
from derive.ops import load

__all__ = ["exercise_files", "render_gradients", "render_makemore"]


def exercise_files(command: str) -> dict[str, str]:
    """The files by path below ``generated/``, not yet formatted; ``command`` is what regenerates them."""
    files = {"makemore.py": render_makemore(command), "makemore_gradients.py": render_gradients(command)}
    for name in chain_ops():
        for backend in PRINTERS:
            files[f"{backend}/{name}_chain.py"] = render_chain(load(name), backend, command)
    return files


def render_makemore(command: str) -> str:
    """The unformatted text of ``generated/makemore.py``."""
    return render("makemore.py.j2", command=command)


def render_gradients(command: str) -> str:
    """The unformatted text of ``generated/makemore_gradients.py``."""
    return render("makemore_gradients.py.j2", command=command)
