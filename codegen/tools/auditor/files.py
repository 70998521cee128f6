"""The audit of a file: of a function or class in it, or of its lines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from codegen.tools.auditor.audit import audit, systems
from codegen.tools.auditor.load import chosen, imported, says
from codegen.tools.auditor.report import CORRECT, Report
from codegen.tools.auditor.scripts import Script, script
from derive import syntax as st

__all__ = ["audit_file"]


def audit_file(
    path: str | Path,
    op: st.Op,
    function: str | None = None,
    *,
    dtype: str | None = None,
    names: Mapping[str, str] | None = None,
    layout: Iterable[str] = (),
    axes: int | Sequence[int] | None = None,
) -> Report:
    """Verify what a Python file has: the function or class called ``function``, or the one that is meant, or its lines.

    Lines are meant where no function is called like a backward, and lines at the top of the file find gradients. They are
    verified on random arrays, as a function of the op's inputs, with the axes and lengths of the file's own arrays. The first
    wrong gradient is explained. Gradients in between are judged only where a gradient of an input is wrong: their
    names may mean something else than the op's. The file is run: it is the user's own code. Raises ValueError as :func:`audit`
    and :func:`load_file` do.
    """
    path = Path(path)
    if function is None and (found := _lines(path, op)):
        layout, axes = [*found.layout, *layout], found.axes if axes is None else axes
        how: dict[str, Any] = {"dtype": dtype, "names": names, "layout": layout, "axes": axes, "lengths": dict(found.fixed)}
        report = audit(found.function, op, **how, in_order=True)
        own = [f for f in report.findings if f.gradient in {st.adjoint_name(t.name) for t in op.differentiable}]
        told = len(own) == len(op.differentiable) and all(f.verdict == CORRECT for f in own)
        return replace(report, findings=tuple(own)) if told else report
    return audit(chosen(imported(path), path, op.name, function), op, dtype=dtype, names=names, layout=layout, axes=axes)


def _lines(path: Path, op: st.Op) -> Script | None:
    """The script that a file is; None where it has a backward, or no line of it finds a gradient."""
    module = imported(path, partly=True)
    if says(module, op.name):
        return None
    closed, chain = systems(op)
    inputs = {t.name for t in op.inputs}
    gradients = {n for n in (*closed.equations, *chain.equations) if st.primal_name(n) in {*inputs, *chain.equations}}
    return script(path, vars(module), op, gradients)
