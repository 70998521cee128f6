"""Where the gradients of a network vanish or explode on given data, and which factor of which line causes it.

The report is made by the source that ``make derive`` writes for the exercise. Here this source is rendered and loaded in
memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from codegen.names import spelling
from codegen.tools.flow.inside import modules_of, runtime
from codegen.tools.flow.time import passed, through, unpacked, with_defaults
from derive.recurrence import step_op
from derive.syntax import Op

__all__ = ["flow", "op_flow", "runtime"]


def flow(network: Any, *given: Any, **named: Any) -> Any:
    """The ``Report`` on an op and its arrays, ``flow(op, inputs)``, or on a torch module: ``flow(module, loss, batch)``.

    See :func:`op_flow` and :func:`codegen.tools.flow.module.module_flow`.
    """
    if isinstance(network, Op):
        return op_flow(network, *given, **named)
    try:
        from codegen.tools.flow.module import module_flow
    except ImportError as error:
        raise ImportError("the flow of a module needs torch: pip install torch") from error
    return module_flow(network, *given, **named)


def op_flow(
    op: Op,
    inputs: Mapping[str, Any],
    constants: Mapping[str, float] | None = None,
    upstream: Mapping[str, Any] | None = None,
) -> Any:
    """The ``Report`` of ``generated/flow/`` for an op's arrays by name, in which ``*s`` is a single axis.

    That on a recurrence is one on a step, with what happens from step to step (:mod:`codegen.tools.flow.time`). Its values have
    the axes of the equations, also where the op's arrays pack them.

    ``upstream`` holds the gradients of the outputs by their adjoints' names (default: ones). Raises KeyError for a missing
    input, or a missing constant that has no default; ValueError for an input without entries; OpError where the derivation
    fails.
    """
    op = replace(op, stars=frozenset())
    if missing := [t.name for t in op.inputs if t.name not in inputs]:
        raise KeyError(f"{op.name}: the input {missing[0]} is missing; the op takes {', '.join(t.name for t in op.inputs)}")
    if empty := [t.name for t in op.inputs if 0 in np.shape(inputs[t.name])]:
        shape = list(np.shape(inputs[empty[0]]))
        raise ValueError(f"{op.name}: {empty[0]} has no entries, its shape is {shape}; gradient flow is measured on data")
    if op.carries:
        return _through_steps(op, inputs, with_defaults(op, constants), upstream or {})
    return _report(op, inputs, constants, upstream)


def _report(
    op: Op, inputs: Mapping[str, Any], constants: Mapping[str, float] | None, upstream: Mapping[str, Any] | None
) -> Any:
    chain, table = modules_of(op)
    to = spelling(op)
    given = ({to.get(n, n): v for n, v in values.items()} if values else values for values in (inputs, constants, upstream))
    return runtime().report(chain, table, *given)


def _through_steps(op: Op, inputs: Mapping[str, Any], constants: Mapping[str, float], upstream: Mapping[str, Any]) -> Any:
    """The report on one step over all steps, and on what happens from step to step."""
    op, inputs, upstream = unpacked(op, inputs, constants, upstream)
    found = passed(op, inputs, constants, upstream)
    step = _report(step_op(op), {**inputs, **found.carried}, constants, found.upstream)
    return through(step, found.steps)
