"""One call of a known layer, taken apart as its op."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from codegen.tools.flow.elementwise import measured
from codegen.tools.flow.inside import modules_of, runtime
from codegen.tools.flow.layers import PARAMETERS, Layer, known
from codegen.tools.flow.ranks import of_rank, stars_of
from codegen.tools.flow.recording import Call
from derive import load
from derive import syntax as st

__all__ = ["Examined", "array", "examined"]


@dataclass(frozen=True)
class Examined:
    """A call with what its op says: the measured lines, the findings, and what of it was not finite first.

    ``passed`` is the gradient of its argument ``data`` that this call alone gives; None where the layer is not known.
    ``given`` are the op's inputs, ``forward`` the names of its equations.
    """

    call: Call
    measured: tuple[Any, ...] = ()
    findings: tuple[Any, ...] = ()
    passed: np.ndarray | None = None
    data: str = ""
    given: frozenset[str] = frozenset()
    forward: frozenset[str] = frozenset()

    def line(self, name: str) -> Any:
        """The closed line of a gradient of the op (None where there is none)."""
        lines = (m.line for m in self.measured if m.line.form == "closed" and m.line.name == st.adjoint_name(name))
        return next(lines, None)

    def parameter(self, name: str) -> Any:
        """The closed line of the parameter that the module calls ``name``."""
        return next((line for own, its in PARAMETERS.items() if its == name and (line := self.line(own))), None)


def array(tensor: Any) -> np.ndarray:
    """A tensor's numbers: in float64, or integers as they are."""
    return np.asarray((tensor.double() if tensor.is_floating_point() else tensor).cpu().numpy())


def examined(call: Call, arrived: Any = None) -> Examined:
    """The call taken apart. A layer whose result has no gradient is left whole, and so is one that is not known.

    ``arrived`` is the gradient that autograd found for the argument by this call alone (default: the chain rule's).
    """
    layer = known(call.module)
    if layer is None:
        return _alone(call)
    if call.value is None or call.gradient is None or not call.value.numel() or len(call.arguments) < len(layer.data):
        return Examined(call)
    op = load(layer.op)
    value, gradient = (array(layer.placed(call.module, t)) for t in (call.value, call.gradient))
    count = stars_of(op, op.outputs[0], value.ndim)
    if count is None:
        return Examined(call)
    op = of_rank(op, count)
    given = _given(op, layer, call)
    if given is None:
        return Examined(call)
    chain, table = modules_of(op)
    package, output = runtime(), op.outputs[0].name
    upstream, constants = {st.adjoint_name(output): gradient}, dict(layer.constants(call.module))
    seen = package.passed(chain, table, given, constants, upstream, known={output: value})
    data = next((n for n in layer.data if n in table.INPUTS), "")
    if arrived is not None and data:
        own = array(layer.placed(call.module, arrived.reshape(call.arguments[0].value.shape)))
        seen = replace(seen, values={**seen.values, st.adjoint_name(data): own})
    seen = replace(seen, flowing=seen.flowing | ({st.adjoint_name(data)} if data and call.arguments[0].sources else set()))
    with np.errstate(all="ignore"):
        lines = tuple(package.lines.measure(line, seen) for line in table.LINES if line["terms"])
        # The chain rule divides by what the closed form does not: only what goes in and comes out is asked to be finite.
        ends = (*given.values(), value, gradient, *(a for n, a in seen.values.items() if n == st.adjoint_name(data)))
        whole = all(np.isfinite(a).all() for a in ends)
        first = [] if whole else list(package.finite.not_finite(package.steps(chain, table), seen, spread=False))
        found = [] if first else list(package.findings.find(_sound(lines, seen.values), set()))
    return Examined(
        call, lines, (*first, *found), seen.values.get(st.adjoint_name(data)), data, frozenset(given), frozenset(table.NAMES)
    )


def _alone(call: Call) -> Examined:
    """A layer that is no op of the catalogue: its findings are those on its slope, where it has one."""
    found = measured(call)
    if found is None or not np.isfinite(found.product.array).all():
        return Examined(call)
    return Examined(call, (found,), tuple(runtime().findings.find([found], set())))


def _sound(lines: Collection[Any], values: Any) -> list[Any]:
    return [m for m in lines if runtime().finite.sound(m.line, values)]


def _given(op: st.Op, layer: Layer, call: Call) -> dict[str, np.ndarray] | None:
    """The op's inputs; None where the call's arguments are none that the op takes."""
    tensors = dict(zip(layer.data, (layer.placed(call.module, a.value) for a in call.arguments), strict=False))
    tensors |= {n: t.detach() for n, t in layer.parameters(call.module).items()}
    arrays = {t.name: array(tensors[t.name]) for t in op.inputs}
    if any(arrays[t.name].ndim != len(t.axes) for t in op.inputs):
        return None
    sizes = {axis: n for t in op.inputs for axis, n in zip(t.axes, arrays[t.name].shape, strict=True)}
    fit = all(_are_labels(arrays[t.name], sizes[t.indexed]) for t in op.inputs if t.indexed)
    return arrays if fit else None


def _are_labels(array: np.ndarray, size: int) -> bool:
    return array.dtype.kind in "iu" and bool(((array >= 0) & (array < size)).all())
