"""The gradient flow of a recurrence: within a step, and from step to step.

Within a step, what the step before hands on is one more input, and what the next step sends back one more upstream gradient:
the report is that of the step op (:mod:`derive.recurrence`), over all steps at once. From step to step, a second backward pass
has an upstream gradient at the last step alone: what of it arrives at each step before is what a loss can teach over that many
steps. An adjoint is linear in the upstream gradients, so that nothing of the other steps is mixed in.
Source: Bengio, Simard and Frasconi, Learning long-term dependencies with gradient descent is difficult, IEEE TNN 5 (1994);
Pascanu, Mikolov and Bengio, On the difficulty of training recurrent neural networks, ICML (2013).
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from codegen.evaluate.arithmetic import Numpy
from codegen.tools.auditor.system import System, Values, chain_system
from codegen.tools.flow.inside import runtime
from derive import derive_full
from derive import syntax as st
from derive.adjoint import whole_adjoint
from derive.packing import Packing
from derive.recurrence import received

__all__ = ["Passed", "Steps", "Through", "passed", "through", "unpacked", "with_defaults"]

#: The columns of a report.
WIDTH = 100


@dataclass(frozen=True)
class Passed:
    """What one step is given: what is carried to it, and the upstream gradients of the step op."""

    carried: Mapping[str, np.ndarray]
    upstream: Mapping[str, np.ndarray]
    steps: tuple[Steps, ...]


@dataclass(frozen=True)
class Steps:
    """What of the gradient that the last step alone sends back arrives at the steps before.

    ``name`` is what is carried along ``axis``, and ``read`` is its name where a step reads it. ``sizes`` are the root mean
    squares of its gradient, those of the last step first; ``positions`` are the steps.
    """

    name: str
    read: str
    axis: str
    positions: tuple[int, ...]
    sizes: tuple[float, ...]

    @property
    def total(self) -> float:
        """The size at the first step over that at the last that has one; nan where there is no such step."""
        return self.sizes[-1] / self.sizes[0] if len(self.sizes) > 1 and self.sizes[0] else float("nan")

    @property
    def each(self) -> float:
        """The factor of a single step: the geometric mean."""
        return float(self.total ** (1 / (len(self.sizes) - 1))) if len(self.sizes) > 1 else float("nan")


@dataclass(frozen=True)
class Through:
    """The report on one step, in which ``h_prev`` is ``h`` of the step before, and what happens from step to step."""

    step: Any
    steps: tuple[Steps, ...]
    findings: tuple[Any, ...]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.step, name)

    def __str__(self) -> str:
        beside = {
            (s.axis, s.positions): [r for r in self.steps if (r.axis, r.positions) == (s.axis, s.positions)] for s in self.steps
        }
        table = "\n\n".join(map(_table, beside.values()))
        own = [f for f in self.findings if f not in self.step.findings]
        found = [textwrap.fill(f"- {f}", WIDTH, subsequent_indent="  ", break_long_words=False) for f in own]
        nothing = ["No gradient vanishes or explodes through the steps."] if self.steps else []
        return "\n".join([str(self.step), "", table, *([""] if table else []), *(found or nothing)])


def unpacked(
    op: st.Op, inputs: Mapping[str, Any], constants: Mapping[str, float], upstream: Mapping[str, Any]
) -> tuple[st.Op, Mapping[str, Any], Mapping[str, Any]]:
    """The op without packed axes, and its arrays with the axes of the equations (ValueError where a shape does not fit)."""
    packing = op.packing
    if not packing:
        return op, inputs, upstream
    shapes = {n: np.shape(v) for n, v in inputs.items()}
    plain = [t for t in op.inputs if not packing.packs(t.name)]
    known = packing.fixed(constants) | {a: n for t in plain for a, n in zip(t.axes, shapes[t.name], strict=True)}
    size = packing.unpacked(shapes, known)
    axes = {t.name: t.axes for t in op.inputs} | {st.adjoint_name(t.name): t.axes for t in op.outputs}

    def apart(name: str, value: Any) -> Any:
        return np.asarray(value).reshape([size[a] for a in axes[name]]) if packing.packs(name) else value

    given = ({n: apart(n, v) for n, v in arrays.items()} for arrays in (inputs, upstream))
    return replace(op, packing=Packing()), next(given), next(given)


def passed(op: st.Op, inputs: Mapping[str, Any], constants: Mapping[str, float], upstream: Mapping[str, Any]) -> Passed:
    """The values of an op with recurrences that its step op is given. Arrays are those of the op, by name."""
    system = chain_system(derive_full(op))
    tensors = {n: np.asarray(v) for n, v in inputs.items()}
    with np.errstate(all="ignore"):
        values = Values(system, tensors, constants, Numpy("float64"))
        shapes = {st.adjoint_name(t.name): np.shape(values.of(t.name)) for t in op.outputs}
        given = {n: np.asarray(upstream.get(n, np.ones(s)), dtype=np.float64) for n, s in shapes.items()}
        values = Values(system, {**tensors, **given}, constants, Numpy("float64"))
        to = received(op)
        own = [*(t.name for t in op.outputs), *(c.of for c in op.carries), *(c.first for c in op.carries if c.first)]
        sent = {a: values.of(to.get(a, a)) for a in map(st.adjoint_name, own)}
        carried = {c.name: values.of(c.name) for c in op.carries}
        steps = tuple(s for c in op.carries if (s := _steps(op, system, c, {**tensors, **given}, constants)) is not None)
    return Passed(carried, sent, steps)


def _steps(
    op: st.Op, system: System, carry: st.Carry, tensors: Mapping[str, np.ndarray], constants: Mapping[str, float]
) -> Steps | None:
    """The sizes of the gradient of what is carried, where the last step alone has an upstream gradient."""
    alone = {**tensors, **{st.adjoint_name(t.name): _at_last(t, carry, tensors[st.adjoint_name(t.name)]) for t in op.outputs}}
    whole = whole_adjoint(carry.of, {t.name for t in op.inputs} | {e.name for e in op.equations})
    adjoint = st.adjoint_name(carry.of)
    name = whole if whole in system.equations else received(op).get(adjoint, adjoint)
    gradient = Values(system, alone, constants, Numpy("float64")).of(name)
    moved = np.moveaxis(np.asarray(gradient), carry.axes.index(carry.axis), 0)
    sizes = [float(np.sqrt(np.square(v).mean())) if v.size else 0.0 for v in (moved if carry.down else moved[::-1])]
    positions = list(range(len(sizes)))[:: 1 if carry.down else -1]
    reached = next((k for k, size in enumerate(sizes) if size), None)
    if reached is None or not np.isfinite(sizes).all() or len(sizes) - reached < 2:
        return None
    return Steps(carry.of, carry.name, carry.axis, tuple(positions[reached:]), tuple(sizes[reached:]))


def _at_last(t: st.Tensor, carry: st.Carry, array: np.ndarray) -> np.ndarray:
    """An upstream gradient at the last step alone; that of an output without steps is kept."""
    if carry.axis not in t.axes or not array.size:
        return array
    kept = np.zeros_like(array)
    at = tuple(slice(None) if a != carry.axis else 0 if carry.down else -1 for a in t.axes)
    kept[at] = array[at]
    return kept


def through(step: Any, steps: tuple[Steps, ...]) -> Through:
    """The report on a recurrence, from that on a step."""
    return Through(step, steps, (*step.findings, *(f for s in steps for f in _finding(step, s))))


def _finding(step: Any, s: Steps) -> Iterator[Any]:
    flow = runtime()
    text = flow.text.number
    small = s.total < 1 / flow.findings.PATH
    if not small and not s.total > flow.findings.PATH:
        return
    word = "vanishes" if small else "explodes"
    causes = [line.cause for line in _way(step, st.adjoint_name(s.read)) if line.cause is not None]
    scales = " and ".join(f"{f.text} {'scales it ' if not k else ''}by {text(f.gain)}" for k, f in enumerate(causes))
    said = (
        f"The gradient of {s.name} {word} through the steps: of what the last one sends back, {text(s.total)} arrives "
        f"{len(s.sizes) - 1} steps before, {text(s.each)} from one step to the next."
        + (f" Within a step, {scales}." if scales else "")
    )
    worst = min(causes, key=lambda f: f.gain if small else -f.gain, default=None)
    place = (((s.axis, s.positions[-1]),),)
    yield flow.Finding("path", st.adjoint_name(s.name), worst.text if worst else "", place, said)


def _way(step: Any, name: str) -> list[Any]:
    """The closed lines by which most of a gradient comes from the upstream gradients of the step."""
    lines = {line.name: line for line in step.lines if line.form == "closed"}
    way = []
    while name in lines and lines[name] not in way:
        way.append(lines[name])
        name = lines[name].upstream
    return way


def _table(steps: Sequence[Steps]) -> str:
    """The sizes at the last step, and at those before it in powers of two, of names that step side by side."""
    number, s = runtime().text.number, steps[0]
    shown = [k for k in range(len(s.sizes)) if k == 0 or k & (k - 1) == 0 or k == len(s.sizes) - 1]
    rows = [("gradient of", *(f"{s.axis} = {s.positions[k]}" for k in shown), "a step")]
    rows += [(r.name, *(number(r.sizes[k] / r.sizes[0]) for k in shown), number(r.each)) for r in steps]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join((r[0].ljust(widths[0]), *map(str.rjust, r[1:], widths[1:]))) for r in rows]
    return "\n".join(["What arrives of the gradient that the last step sends back:", *lines])


def with_defaults(op: st.Op, constants: Mapping[str, float] | None) -> dict[str, float]:
    """The constants; those that are not given have their defaults (KeyError for one without a default)."""
    found = dict(constants or {})
    for c in op.constants:
        if c.name not in found:
            if c.default is None:
                raise KeyError(f"{op.name}: the constant {c.name} is missing, and has no default")
            found[c.name] = float(c.default)
    return found
