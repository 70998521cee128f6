"""The section in which a reader changes entries of small tensors: the op's equations and closed forms as data for the browser.

The loss is the sum of every output times its upstream gradient. The page computes the loss by the author's equations and the
gradients by the closed forms, so that comparing the gradients with differences of the loss checks the derivation.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from codegen.tools.atlas.page import Data, Formula, Section, prose
from codegen.tools.atlas.terms import Line, line_data, unspelled
from derive.derivation import Derivation
from derive.language.axes import equal_axes
from derive.points import Point, draw_point, interval, shorten, sizes_of
from derive.show.latex import LatexPrinter
from derive.show.trees import of_derivation
from derive.syntax import Constant, Op, Tensor, adjoint_name, reads

__all__ = ["Pair", "Playground", "playground_section"]

#: The most entries of an input, if its axes can be that short.
ENTRIES = 12
#: A star stands for a single place in tensors that have at least this many axes.
CROWDED = 3


@dataclass(frozen=True)
class Pair:
    """A tensor and its adjoint, which stand beside each other; an integer tensor has no adjoint."""

    name: str
    tensor: Formula
    adjoint_name: str
    adjoint: Formula | None
    role: str


@dataclass(frozen=True)
class Playground:
    """``refused`` is the reason why there is no playground, "" where there is one."""

    pairs: tuple[Pair, ...]
    constants: tuple[str, ...]
    program: Data
    refused: str = ""


def playground_section(derivation: Derivation, printer: LatexPrinter) -> Section:
    """The playground of an op, or the name of what JavaScript does not have."""
    forward, backward = _forward(derivation), _backward(derivation)
    missing = unspelled((*forward, *backward))
    lead = "Change an entry, and see every gradient move. Each is compared with a finite difference of the loss."
    if missing:
        content = Playground((), (), Data({}), f"The pages have no spelling for {missing}.")
    else:
        op = derivation.op
        pairs = (*(_pair(t, "input", printer) for t in op.inputs), *(_pair(t, "output", printer) for t in op.outputs))
        content = Playground(pairs, _free(op), Data(_program(op, forward, backward)))
    return Section("playground", "Playground", "playground.html.j2", content, prose(lead))


def _pair(tensor: Tensor, role: str, printer: LatexPrinter) -> Pair:
    adjoint = adjoint_name(tensor.name)
    shown = None if tensor.integer else Formula(printer.read(adjoint, tensor.axes)[0], display=False)
    return Pair(tensor.name, Formula(printer.read(tensor.name, tensor.axes)[0], display=False), adjoint, shown, role)


def _free(op: Op) -> tuple[str, ...]:
    """The constants that a reader may change: a constant that is the length of an axis would change the tables themselves."""
    return tuple(c.name for c in op.constants if c.name not in op.packing.constants())


def _forward(derivation: Derivation) -> list[Line]:
    """The author's equations: independent of everything that is derived."""
    return [Line(e.name, e.index, e.rhs) for e in derivation.op.equations]


def _backward(derivation: Derivation) -> list[Line]:
    """The closed forms, after the definitions that they read."""
    tree_of = of_derivation(derivation)
    lines = [Line(line.name, line.index, tree_of(line.body, line.index)) for line in derivation.lines]
    wanted = {name for line in lines for name in reads(line.tree)}
    needed: list[Line] = []
    for d in reversed(derivation.forward):
        if d.name in wanted:
            needed.insert(0, Line(d.name, d.index, tree_of(d.body, d.index)))
            wanted.update(reads(needed[0].tree))
    return [*needed, *lines]


def _program(op: Op, forward: Iterable[Line], backward: Iterable[Line]) -> dict[str, Any]:
    sizes = lengths(op)
    point = draw_point(op, 0, sizes, 0, 1)
    return {
        "sizes": sizes,
        "inputs": [_input(op, t, point) for t in op.inputs],
        "constants": [_constant(op, c, point) for c in op.constants],
        "outputs": [_output(op, t, point) for t in op.outputs],
        "forward": list(map(line_data, forward)),
        "backward": list(map(line_data, backward)),
    }


def lengths(op: Op) -> dict[str, int]:
    """Lengths of the op's axes at which a tensor is a small table."""
    classes, sizes = equal_axes(op), sizes_of(op, 0)
    length = {root: sizes[root] for root in classes.values()}
    held = {classes[a] for a, _ in op.packing.lengths}
    for t in op.inputs:
        length |= {classes[a]: 1 for a in t.axes if a in op.stars and len(t.axes) >= CROWDED and classes[a] not in held}
    shorten(length, [{classes[a] for a in t.axes} for t in op.inputs], [r for r in length if r not in held], ENTRIES)
    return {a: length[r] for a, r in classes.items()}


def _input(op: Op, tensor: Tensor, point: Point) -> dict[str, Any]:
    found: dict[str, Any] = _placed(op, tensor) | {"values": _rounded(point.tables[tensor.name])}
    if tensor.integer:
        return found | {"labels": tensor.labels}
    return found | {"adjoint": adjoint_name(tensor.name)} | _bounds(op, tensor.name)


def _constant(op: Op, constant: Constant, point: Point) -> dict[str, Any]:
    return {"name": constant.name, "values": list(map(float, point.tables[constant.name]))} | _bounds(op, constant.name)


def _output(op: Op, tensor: Tensor, point: Point) -> dict[str, Any]:
    adjoint = adjoint_name(tensor.name)
    values = _rounded(point.tables[adjoint]) if tensor.axes else [1]
    return _placed(op, tensor) | {"adjoint": adjoint, "values": values}


def _placed(op: Op, tensor: Tensor) -> dict[str, Any]:
    """A tensor's name, its axes in the equations, and the caller's axes, each a list of those that it packs."""
    return {"name": tensor.name, "axes": tensor.axes, "slots": op.packing.slots(tensor.name, tensor.axes)}


def _bounds(op: Op, name: str) -> dict[str, float]:
    low, high = interval(op, name)
    return {key: float(bound) for key, bound in (("low", low), ("high", high)) if bound is not None}


def _rounded(values: Iterable[Fraction | int]) -> list[float]:
    """The values to the hundredth, which keeps a drawn value away from a bound of 0."""
    return [float(round(Fraction(v), 2)) for v in values]
