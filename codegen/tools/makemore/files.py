"""The exercise's files that belong to no op: the training command, the comparison with autograd, and gradient flow."""

from __future__ import annotations

from codegen.backends.arrays.discovery import array_backends, first
from codegen.chain import chain_ops, render_chain
from codegen.render import render
from codegen.tools.flow.source import render_flow, render_runtime
from derive.ops import load

__all__ = ["exercise_files", "render_gradients", "render_makemore"]


def exercise_files(command: str) -> dict[str, str]:
    """The files by path below ``generated/``, not yet formatted; ``command`` is what regenerates them."""
    files = {"makemore.py": render_makemore(command), "makemore_gradients.py": render_gradients(command)}
    files |= {"makemore_flow.py": render("makemore/flow.py.j2", command=command)} | render_runtime(command)
    for name in chain_ops():
        files[f"{first().name}/{name}_flow.py"] = render_flow(load(name), command)
        for backend in array_backends().values():
            files[f"{backend.name}/{name}_chain.py"] = render_chain(load(name), backend, command)
    return files


def render_makemore(command: str) -> str:
    """The unformatted text of ``generated/makemore.py``."""
    return render("makemore/makemore.py.j2", command=command)


def render_gradients(command: str) -> str:
    """The unformatted text of ``generated/makemore_gradients.py``."""
    return render("makemore/makemore_gradients.py.j2", command=command)
