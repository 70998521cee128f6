"""Where the gradients of an op vanish or explode on given data, and which factor of which line causes it.

The report is made by the source that ``make derive`` writes for the exercise. Here this source is rendered and loaded in
memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from types import ModuleType
from typing import Any

from codegen.backends.arrays.discovery import first
from codegen.chain import render_chain
from codegen.load import load_package, load_source
from codegen.names import spelling
from codegen.tools.flow.source import render_flow, render_runtime
from derive.syntax import Op

__all__ = ["flow", "runtime"]


def flow(
    op: Op,
    inputs: Mapping[str, Any],
    constants: Mapping[str, float] | None = None,
    upstream: Mapping[str, Any] | None = None,
) -> Any:
    """The ``Report`` of ``generated/flow/`` for an op's arrays by name, in which ``*s`` is a single axis.

    ``upstream`` holds the gradients of the outputs by their adjoints' names (default: ones). Raises KeyError for a missing
    input, or a missing constant that has no default; OpError where the derivation fails.
    """
    chain, table = _modules(replace(op, stars=frozenset()))
    if missing := [t.name for t in op.inputs if t.name not in inputs]:
        raise KeyError(f"{op.name}: the input {missing[0]} is missing; the op takes {', '.join(t.name for t in op.inputs)}")
    to = spelling(op)
    given = ({to.get(n, n): v for n, v in values.items()} if values else values for values in (inputs, constants, upstream))
    return runtime().report(chain, table, *given)


@cache
def _modules(op: Op) -> tuple[ModuleType, ModuleType]:
    chain, table = render_chain(op, first(), "in memory"), render_flow(op, "in memory")
    return load_source(f"{op.name}_chain", chain), load_source(f"{op.name}_flow", table)


@cache
def runtime() -> ModuleType:
    """The package ``generated/flow/``, rendered from its templates and loaded."""
    return load_package("loaded", render_runtime("in memory"))
