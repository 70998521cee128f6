"""The effect of rounding on the results of a whole derivation, at strained points."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random
from typing import NamedTuple

import numpy as np

from derive import syntax as st
from derive.strain.floats import Round, Truths, double, randomly, single
from derive.strain.grid import Evaluation
from derive.strain.judge import UNIT, Emptied, Judge, changed, valid, valid_in_float32
from derive.strain.points import MIXED, Strained, emptied_points, strained_points
from derive.terms.definitions import Definition
from derive.terms.factor import to_tree
from derive.terms.style import Style

__all__ = ["LOST", "Loss", "losses", "without_value"]

#: A larger error at one element in ten counts as lost digits: it is six of the 24 bits of float32.
LOST = 64 * UNIT
#: How many random roundings of the chain rule are tried where it has a value and the closed form has none.
ROUNDINGS = 64
#: How much larger the upstream gradients may get without the chain rule's adjoint overflowing, if its value is to count. Where
#: a constant factor stands decides which of two forms is the first to overflow, near the end of the range.
MARGIN = 16.0


@dataclass(frozen=True)
class Loss:
    """A result in which terms cancel, and the kinds of strain under which it loses digits."""

    name: str
    kinds: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.name} ({', '.join(self.kinds)})"


class Named(NamedTuple):
    """A name, its axes, and the tree from which it is computed."""

    name: str
    axes: tuple[str, ...]
    tree: st.Tree


#: The forward names and the lines of a derivation.
Form = tuple[Sequence[Named], Sequence[Named]]


def losses(op: st.Op, definitions: Iterable[Definition], lines: Iterable[Definition], style: Style) -> tuple[Loss, ...]:
    """The outputs and gradients that lose digits when all operations from the inputs on are rounded to float32."""
    lines = tuple(lines)
    judge = Judge(op, definitions, style)
    for line in lines:
        judge.define(line)
    found = []
    for name in [*(t.name for t in op.outputs), *(st.adjoint_name(t.name) for t in op.differentiable)]:
        errors = judge.of_name(name)
        # Among mixed scales, sums of any form cancel by chance.
        kinds = tuple(kind for kind, quantiles in errors.items() if quantiles[-1] > LOST and MIXED not in kind)
        if kinds:
            found.append(Loss(name, kinds))
    return tuple(found)


def without_value(
    op: st.Op,
    stable: Iterable[Definition],
    chain: Iterable[Definition],
    computed: Iterable[Definition],
    lines: Iterable[Definition],
    style: Style,
) -> dict[str, str]:
    """For each gradient, the kinds of strain under which it is not finite where the chain rule's adjoint is, as text.

    The text is "" for a gradient without such a kind. Both are computed in float32 and in float64. Where only the chain rule
    is finite, it is computed again with larger upstream gradients and with random roundings, and has to be finite each time.
    At points with an empty axis, both are computed in float64, and there a different value counts too if all outputs are
    finite.
    """
    chained, closed = ((_trees(f, style), _trees(rest, style)) for f, rest in ((stable, chain), (computed, lines)))
    strained, out = strained_points(op), dict[str, str]()
    outputs = [t.name for t in op.outputs]
    gradients = [st.adjoint_name(t.name) for t in op.differentiable]
    for working in (single, double):
        found = _missing(op, strained, chained, closed, working, gradients)
        out = {name: out.get(name) or ", ".join(kinds) for name, kinds in found.items()}
    pairs = [p for p in zip(_emptied(op, *chained), _emptied(op, *closed), strict=True) if p[0].has_values(outputs)]
    for name in out:
        kinds = dict.fromkeys(one.kind for one, other in pairs if changed(one.values.tables[name], other.values.tables[name]))
        out[name] = out[name] or ", ".join(kinds)
    return out


def _trees(definitions: Iterable[Definition], style: Style) -> list[Named]:
    return [Named(d.name, d.index, to_tree(d.body, d.index, style)) for d in definitions]


def _emptied(op: st.Op, forward: Iterable[Named], lines: Iterable[Named]) -> list[Emptied]:
    """The values of all names at points with an empty axis."""
    emptied = [Emptied(points) for points in emptied_points(op)]
    for named in (*forward, *lines):
        for e in emptied:
            e.define(*named)
    return emptied


def _missing(
    op: st.Op, strained: Strained, chained: Form, closed: Form, working: Round, gradients: Sequence[str]
) -> dict[str, dict[str, None]]:
    """The kinds of strain under which a gradient is not finite although the chain rule's adjoint is, however it is rounded.

    The random roundings are needed because an adjoint that is pure rounding error may escape an overflow by chance. For the
    same reason, a value counts only if it is not near the end of the range.
    """

    def finite(at: Strained, form: Form, rounding: Round) -> dict[str, Truths]:
        return _finite(op, at, *form, rounding, gradients, in_float32=working is single)

    own, reference = (finite(strained, form, working) for form in (closed, chained))
    upstream = [st.adjoint_name(t.name) for t in op.outputs]
    everywhere = range(len(strained.kinds))
    lost = {name: _places(reference[name], everywhere) - _places(own[name], everywhere) for name in own}
    rng = Random(0)
    for k, rounding in enumerate([working, *(randomly(working, rng) for _ in range(ROUNDINGS))]):
        points = sorted({point for those in lost.values() for point, _ in those})
        if not points:
            break
        there = strained.at(points)
        other = finite(there if k else there.scaled(upstream, MARGIN), chained, rounding)
        lost = {name: those & _places(other[name], points) for name, those in lost.items()}
    return {name: dict.fromkeys(strained.kinds[point] for point, _ in sorted(those)) for name, those in lost.items()}


def _places(there: Truths, points: Sequence[int]) -> set[tuple[int, int]]:
    """The points, and the positions at each point, at which there is a value."""
    found = np.argwhere(there.reshape(len(points), -1)).tolist()
    return {(points[k], place) for k, place in found}


def _finite(
    op: st.Op,
    strained: Strained,
    forward: Sequence[Named],
    lines: Sequence[Named],
    working: Round,
    wanted: Iterable[str],
    in_float32: bool,
) -> dict[str, Truths]:
    """For each wanted name and each element, whether it is finite at a point that counts."""
    values, exact = (Evaluation(strained.grid, strained.tables, rounding) for rounding in (working, double))
    for evaluation in (values, exact) if in_float32 else (values,):
        for d in forward:
            evaluation.define(*d)
    counts = valid_in_float32(op, strained, values, exact) if in_float32 else valid(strained, values)
    for d in lines:
        values.define(*d)
    found = {name: values.tables[name].entries for name in wanted if name in values.tables}
    return {name: np.isfinite(v) & np.repeat(counts, v.size // counts.size) for name, v in found.items()}
