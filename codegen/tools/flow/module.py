"""The report on a module: a row for each parameter and each call of a layer, and what is wrong with them."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

from codegen.tools.flow.inside import runtime
from codegen.tools.flow.layer import Examined, array, examined
from codegen.tools.flow.ranks import axes_of
from codegen.tools.flow.recording import Argument, Call, Parameter, Recorded, record
from codegen.tools.flow.recurrent import through_time
from codegen.tools.flow.twice import distribution, normalized_before
from derive.syntax import adjoint_name, primal_name
from derive.visible import visible

__all__ = ["module_flow"]

#: Types that hold smaller numbers than this lose no gradient.
_LEAST = 1e-30


def module_flow(module: nn.Module, loss: Callable[..., Any], batch: Any) -> Any:
    """The ``Report`` on one forward and backward pass of a module; the module is left as it was.

    ``batch`` is a tensor, inputs followed by a target, or a mapping of inputs by name; ``loss(output)`` or
    ``loss(output, target)`` gives a number. Raises ValueError where a layer fails, the loss is no number, or no gradient flows.
    """
    if not isinstance(module, nn.Module):
        raise TypeError(f"flow takes an op or a torch.nn.Module, not {type(module).__name__}")
    return _Network(visible(type(module).__name__), record(module, loss, batch)).report()


class _Network:
    def __init__(self, name: str, seen: Recorded):
        self.name, self.seen, self.package = name, seen, runtime()
        self.layers = [examined(c, c.arguments[0].gradient if c.arguments else None) for c in seen.calls if c.value is not None]
        self.values = {x.call.name: array(x.call.value) for x in self.layers}
        self.values |= {adjoint_name(x.call.name): array(x.call.gradient) for x in self.layers if x.call.gradient is not None}
        for p in seen.parameters:
            self.values[p.name] = array(p.value)
            if p.gradient is not None:
                self.values[adjoint_name(p.name)] = array(p.gradient)
        self.values |= {given(x.call): array(a.value) for x in self.layers if (a := _from_outside(x.call)) is not None}
        self.lines = {name: line for x in self.layers for name in x.call.sources if (line := self.line(name))}

    def report(self) -> Any:
        found = tuple(self.findings())
        rows = [*(self.parameter(p) for p in self.seen.parameters), *map(self.row, self.layers)]
        layers = tuple(
            x.call.name for x in self.layers if x.call.gradient is not None and x.call.value is not None and x.call.value.dim()
        )
        lines = (
            *self.lines.values(),
            *(r.line for r in rows if r.line and r.line.name not in {v.name for v in self.lines.values()}),
        )
        return self.package.Report(self.name, tuple(rows), lines, found or tuple(self.all_zero()), layers, self.values)

    # ---- rows and lines ---------------------------------------------------------------------------------------------

    def row(self, x: Examined) -> Any:
        name = x.call.name
        shares = [m.line.saturated for m in x.measured if m.line.form == "chain" and m.bounded and not m.line.residual]
        saturated = max((s for s in shares if s is not None), default=None)
        return self._row(name, saturated, self.lines.get(name))

    def parameter(self, p: Parameter) -> Any:
        """The row of a parameter, whose line is that of the call which gives most of its gradient."""
        path, _, own = p.name.rpartition(".")
        calls = [x for x in self.layers if self._is_of(x, path) and x.parameter(own)]
        if p.gradient is None or not calls:
            return self._row(p.name, None, None)
        x = max(calls, key=lambda x: self.size(adjoint_name(x.call.name)))
        ratio = _quotient(self.size(adjoint_name(p.name)), self.size(adjoint_name(x.call.name)))
        line = replace(x.parameter(own), name=adjoint_name(p.name), label=p.name, ratio=ratio, scaled=ratio, passes=False)
        return self._row(p.name, None, replace(line, upstream=adjoint_name(x.call.name), source=x.call.name))

    def _is_of(self, x: Examined, path: str) -> bool:
        return x.call.path == path

    def _row(self, name: str, saturated: float | None, line: Any) -> Any:
        numbers = self.package.Numbers.of
        gradient = self.values.get(adjoint_name(name))
        value = self.values[name]
        return self.package.Row(
            name, name, value.shape, numbers(value), None if gradient is None else numbers(gradient), saturated, line
        )

    def line(self, name: str) -> Any:
        """The line of a call's gradient, through the call that gives most of it; None where it has no gradient."""
        called = [x for x in self.layers if x.call.gradient is not None and not x.call.relays]
        readers = [(x, a) for x in called for a in x.call.arguments if name in a.sources]
        if adjoint_name(name) not in self.values or not readers:
            return None
        x, a = max(readers, key=lambda reader: _given(*reader))
        upstream = adjoint_name(x.call.name)
        ratio = _quotient(self.size(adjoint_name(name)), self.size(upstream))
        first = a is x.call.arguments[0] and a.direct
        own = x.line(x.data) if first and x.data and self.is_all(a, name) else None
        of_loss = own is not None and own.residual and own.ratio
        return self.package.Line(
            name=adjoint_name(name),
            label=name,
            form="closed",
            text=own.text if own else f"through {x.call.name}",
            upstream=upstream,
            source=x.call.name,
            ratio=ratio,
            scaled=own.scaled * ratio / own.ratio if own and of_loss else ratio if own else self.apart(ratio, name, a, x),
            passes=True,
            residual=not self.values[x.call.name].ndim,
            cancels=bool(own and own.cancels),
            saturated=None,
            factors=own.factors if own else (),
        )

    def is_all(self, a: Argument, name: str) -> bool:
        """Whether nothing else gives anything to the gradient of a name that matters beside what arrives at an argument."""
        if a.gradient is None:
            return False
        given = self.package.Numbers.of(array(a.gradient)).size
        return math.isclose(given, self.size(adjoint_name(name)), rel_tol=0.1)

    def apart(self, ratio: float, name: str, a: Argument, x: Examined) -> float:
        """The ratio without what the numbers of entries explain where the lines between are not known.

        The mean of many entries gives each of them its share, and of an entry that is read many times all shares come together.
        """
        known = bool(x.measured)
        end = a.value.numel() if known else self.values[x.call.name].size
        many = self.values[name].size / max(end, 1)
        return min(1.0, ratio * many) if ratio < 1 < many else max(1.0, ratio * many) if many < 1 < ratio else ratio

    def size(self, name: str) -> float:
        return float(self.package.Numbers.of(self.values[name]).size)

    # ---- findings ---------------------------------------------------------------------------------------------------

    def findings(self) -> Iterator[Any]:
        first = list(self.not_finite())
        yield from first
        yield from self.cut()
        yield from self.twice()
        certain = list(self.certain())
        yield from certain
        yield from self.package.findings.alike(map(self.with_units_last, self.seen.parameters))
        blamed = {adjoint_name(n) for x in self.layers for n in x.call.sources if any(f.name == x.call.name for f in certain)}
        for x in self.layers:
            found = [f for f in x.findings if f.kind != "not finite"]
            if any(f.name == x.call.name for f in certain):  # which is why its line scales
                found = [f for f in found if f.kind != "line"]
            blamed |= {adjoint_name(n) for n in x.call.sources if any(f.kind in ("saturated", "line") for f in found)}
            yield from (self.of(x, f) for f in found)
        told = {x.call.name for x in self.layers if x.findings}
        for line in self.lines.values():
            far = self.package.records.distance(line.scaled) > math.log(self.package.findings.LINE)
            if far and math.isfinite(line.scaled) and not line.factors and not line.residual and line.source not in told:
                blamed.add(line.name)
                yield self.package.Finding("line", line.label, "", (), f"{self.package.text.scaling(line)}.")
        yield from self.through_time()
        lines = list(self.lines.values())
        yield from (
            replace(f, name=primal_name(f.name)) for f in self.package.findings.paths(lines, {v.name for v in lines}, blamed)
        )

    def with_units_last(self, p: Parameter) -> tuple[str, str, np.ndarray, np.ndarray | None]:
        """A parameter and its gradient as the ops have them: ``torch.nn`` has a row for each unit."""
        value, gradient = self.values[p.name], self.values.get(adjoint_name(p.name))
        return p.name, p.name, value.T, None if gradient is None else gradient.T

    def of(self, x: Examined, finding: Any) -> Any:
        """A finding on a layer's op as one on the layer; its text is in the names of the op's equations."""
        return replace(finding, name=x.call.name, text=f"{x.call.title}: {finding.text}")

    def cut(self) -> Iterator[Any]:
        """Parameters that require a gradient and have none although their layer was called."""
        for x in self.layers:
            own = [p for p in self.seen.parameters if self._is_of(x, p.name.rpartition(".")[0]) and not p.frozen]
            lost = x.call.wants or not x.call.enabled
            if x.call.gradient is None and lost and own and all(p.gradient is None for p in own):
                why = "something between it and the loss is detached, or has no derivative"
                why = why if x.call.enabled else "gradients are switched off where it is called"
                text = f"{x.call.name}: no gradient reaches it; {why}."
                yield self.package.Finding("cut", x.call.name, "", (), text)

    def twice(self) -> Iterator[Any]:
        """Logits that were normalized before the layer that normalizes them: no gradient of theirs can be large any more."""
        modules = {x.call.name: x.call.module for x in self.layers}
        for x in self.layers:
            if not x.call.direct:
                continue
            before = x.call.arguments[0].sources[0]
            if done := normalized_before(x.call.module, modules[before], self.values[before]):
                text = f"{x.call.title} takes logits, but {before} is the result of {done}. Give it what {before} was made of."
                yield self.package.Finding("twice", x.call.name, "", (), text)

    def through_time(self) -> Iterator[Any]:
        """Recurrent layers within which the gradient is lost or blows up from step to step."""
        for x in self.layers:
            steps = through_time(x.call)
            if steps is None or not self.package.records.distance(steps.ratio) > math.log(self.package.findings.PATH):
                continue
            word = "vanishes" if steps.ratio < 1 else "explodes"
            shown = self.package.text.number(steps.ratio)
            text = (
                f"{x.call.title}: the gradient {word} through its {steps.count} steps: at the first it is {shown} of the last."
            )
            yield self.package.Finding("path", x.call.name, "", (), text)

    def all_zero(self) -> Iterator[Any]:
        """That no parameter has any gradient but 0."""
        found = [p for p in self.seen.parameters if p.gradient is not None]
        if not found or any(bool(p.gradient.any()) for p in found if p.gradient is not None):
            return
        least = min(torch.finfo(p.value.dtype).smallest_normal for p in found if p.value.is_floating_point())
        small = f"; what is below {least:.0e} may have become 0" if least > _LEAST else ""
        text = f"Every gradient is 0: nothing is learnt from this batch{small}."
        yield self.package.Finding("cut", found[0].name, "", (), text)

    def certain(self) -> Iterator[Any]:
        """Distributions within the network that leave nothing to choose: next to nothing passes through a softmax there."""
        read = {n for x in self.layers if self.values[x.call.name].ndim for n in x.call.sources}
        for x in self.layers:
            axis = distribution(self.values[x.call.name]) if x.call.name in read else None
            if axis is None or any(f.kind == "saturated" for f in x.findings):
                continue
            share = float((self.values[x.call.name].max(axis=axis) > self.package.lines.CERTAIN).mean())
            if share >= self.package.findings.MANY:
                above = f"(above {self.package.lines.CERTAIN})"
                shown = f"{self.package.text.percent(share)} of its rows are certain of one entry {above}"
                text = f"{x.call.title}: {shown}: next to nothing of their gradient gets through."
                yield self.package.Finding("saturated", x.call.name, "", (), text)

    def not_finite(self) -> Iterator[Any]:
        """Where NaN or inf begins, in the order of computation."""
        parameters = {p.name for p in self.seen.parameters}
        outside = {x.call.name: given(x.call) for x in self.layers if given(x.call) in self.values}
        axes = {n: _axes(self.values[n].ndim, n in parameters) for n in (*parameters, *outside.values())}
        axes |= {x.call.name: _axes(self.values[x.call.name].ndim, False) for x in self.layers}
        seen = self.package.lines.Pass(self.values, {}, set(), set(), axes, {})
        for f in self.package.finite.not_finite(self.steps(parameters, outside), seen):
            yield replace(f, text=f.text + self.inside(f.name, f.name not in axes) + self.between(f.name, outside))

    def steps(self, parameters: Collection[str], outside: Mapping[str, str]) -> Iterator[Any]:
        """What is computed, in order, and from what; what the layers are given from outside is computed where it has NaN."""
        step, adjoint = self.package.finite.Step, adjoint_name
        yield from (step(n, "", ()) for n in parameters)
        for x in self.layers:
            name, own = x.call.name, tuple(n for n in parameters if self._is_of(x, n.rpartition(".")[0]))
            read = (outside[name],) if name in outside else ()
            if read and (not x.call.sources or np.isnan(self.values[read[0]]).any()):
                yield step(read[0], "", x.call.sources, ())
            same = not own and bool(x.call.arguments) and x.call.arguments[0].value.shape == self.values[name].shape
            yield step(name, "", (*x.call.sources, *read, *own), (read or x.call.sources) if same else ())
        for x in reversed(self.layers):
            readers = [y.call.name for y in self.layers if x.call.name in y.call.sources]
            yield step(adjoint(x.call.name), "", tuple(map(adjoint, readers)), ())
        for n in parameters:
            calls = [x.call.name for x in self.layers if self._is_of(x, n.rpartition(".")[0])]
            yield step(adjoint(n), "", tuple(map(adjoint, calls)), ())

    def inside(self, name: str, backward: bool) -> str:
        """What the op of the layer says of a value or gradient that is not finite."""
        for x in self.layers:
            own = (f for f in x.findings if f.kind == "not finite" and f.name not in x.given)
            told = [f for f in own if (f.name not in x.forward) == backward]
            if told and (x.call.name == name or name in map(adjoint_name, x.call.sources)):
                return f" In {x.call.title}: {told[0].text}"
        return ""

    def between(self, name: str, outside: Mapping[str, str]) -> str:
        """From which layers' results an argument was computed."""
        found = next((x.call.sources for x in self.layers if outside.get(x.call.name) == name), ())
        return f" It is computed from {', '.join(found)}, by none of the layers." if found else ""


def given(call: Call) -> str:
    """How an argument that is no layer's result is called."""
    return f"input of {call.name}"


def _from_outside(call: Call) -> Argument | None:
    """The argument that is told of besides: what the network is given, or what is computed between layers and not finite."""
    first = call.arguments[:1] if not call.sources else ()
    odd = (a for a in call.arguments if not a.direct and a.sources and not bool(a.value.isfinite().all()))
    return next(iter((*first, *odd)), None)


def _given(x: Examined, a: Argument) -> float:
    """How much a call gives to the gradient of an argument; as much as its own has where this is not known."""
    found = x.call.gradient if a.gradient is None else a.gradient
    return 0.0 if found is None else float(found.double().norm())


def _axes(ndim: int, of_parameter: bool) -> str:
    if of_parameter:
        return " ".join(f"axis{k}" for k in range(ndim))
    return " ".join(axes_of(ndim))


def _quotient(a: float, b: float) -> float:
    return a / b if b else math.nan if not a else math.inf
