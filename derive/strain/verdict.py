"""What rounding does to the results of a whole derivation, at strained points."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isfinite
from random import Random
from typing import NamedTuple

from derive import syntax as st
from derive.strain.floats import Round, double, randomly, single
from derive.strain.grid import Evaluation
from derive.strain.judge import UNIT, Emptied, Judge, changed
from derive.strain.points import MIXED, Strained, emptied_points, strained_points
from derive.terms.definitions import Definition
from derive.terms.factor import to_tree
from derive.terms.style import Style

__all__ = ["LOST", "Loss", "losses", "without_value"]

#: An error that counts as lost digits: six of the 24 bits of float32, at one element in ten or more.
LOST = 64 * UNIT
#: How often the chain rule is rounded in other ways where it alone has a value.
ROUNDINGS = 64


@dataclass(frozen=True)
class Loss:
    """A result in which terms cancel: the kinds of strain under which digits are lost in the precision of the computation."""

    name: str
    kinds: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.name} ({', '.join(self.kinds)})"


class Named(NamedTuple):
    """A name with the tree that it is computed by."""

    name: str
    axes: tuple[str, ...]
    tree: st.Tree


#: The forward names and the lines of a derivation.
Form = tuple[Sequence[Named], Sequence[Named]]


def losses(op: st.Op, definitions: Iterable[Definition], lines: Iterable[Definition], style: Style) -> tuple[Loss, ...]:
    """The outputs and gradients that lose digits, computed from the inputs with every operation rounded to float32."""
    lines = tuple(lines)
    judge = Judge(op, definitions, style)
    for line in lines:
        judge.define(line)
    found = []
    for name in [*(t.name for t in op.outputs), *(st.adjoint_name(t.name) for t in op.differentiable)]:
        errors = judge.of_name(name)
        # Among mixed scales some sum cancels by chance, whatever its form.
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
    """For each gradient the kinds of strain under which it has no finite value where the chain rule's has one, in words.

    Both are computed in float32 and in float64, the chain rule in other roundings too where they differ. Where an axis is empty
    another value counts as well, in float64, if all outputs have values there.
    """
    chained, closed = ((_trees(f, style), _trees(rest, style)) for f, rest in ((stable, chain), (computed, lines)))
    strained, out = strained_points(op), dict[str, str]()
    gradients = [st.adjoint_name(t.name) for t in op.differentiable]
    for working in (single, double):
        found = _missing(strained, chained, closed, working, gradients)
        out = {name: out.get(name) or ", ".join(kinds) for name, kinds in found.items()}
    outputs = [t.name for t in op.outputs]
    pairs = [p for p in zip(_emptied(op, *chained), _emptied(op, *closed), strict=True) if p[0].has_values(outputs)]
    for name in out:
        kinds = dict.fromkeys(one.kind for one, other in pairs if changed(one.values.tables[name], other.values.tables[name]))
        out[name] = out[name] or ", ".join(kinds)
    return out


def _trees(definitions: Iterable[Definition], style: Style) -> list[Named]:
    return [Named(d.name, d.index, to_tree(d.body, d.index, style)) for d in definitions]


def _emptied(op: st.Op, forward: Iterable[Named], lines: Iterable[Named]) -> list[Emptied]:
    """The values of all names where an axis is empty."""
    emptied = [Emptied(points) for points in emptied_points(op)]
    for named in (*forward, *lines):
        for e in emptied:
            e.define(*named)
    return emptied


def _missing(
    strained: Strained, chained: Form, closed: Form, working: Round, gradients: Sequence[str]
) -> dict[str, dict[str, None]]:
    """The kinds of strain under which each gradient has no value where the chain rule has one however it is rounded.

    What is nothing but rounding may be large enough to overflow, or by luck not.
    """
    own, reference = (_finite(strained, *form, working, gradients) for form in (closed, chained))
    everywhere = range(len(strained.kinds))
    lost = {name: _places(reference[name], everywhere) - _places(own[name], everywhere) for name in own}
    rng = Random(0)
    for _ in range(ROUNDINGS):
        points = sorted({point for those in lost.values() for point, _ in those})
        if not points:
            break
        other = _finite(strained.at(points), *chained, randomly(working, rng), gradients)
        lost = {name: those & _places(other[name], points) for name, those in lost.items()}
    return {name: dict.fromkeys(strained.kinds[point] for point, _ in sorted(those)) for name, those in lost.items()}


def _places(there: Sequence[bool], points: Sequence[int]) -> set[tuple[int, int]]:
    """The points, and the places at each, at which there is a value."""
    each = max(len(there) // len(points), 1)
    return {(points[k // each], k % each) for k, value in enumerate(there) if value}


def _finite(
    strained: Strained, forward: Iterable[Named], lines: Iterable[Named], working: Round, wanted: Iterable[str]
) -> dict[str, list[bool]]:
    """Where each name that is wanted has a finite value, at points at which all of the forward names have one."""
    values = Evaluation(strained.grid, strained.tables, working)
    valid = [True] * len(strained.kinds)
    for table in strained.tables.values():
        valid = strained.all_finite(table.entries, valid)
    for d in forward:
        valid = strained.all_finite(values.define(*d), valid)
    for d in lines:
        values.define(*d)
    found = {name: values.tables[name].entries for name in wanted if name in values.tables}
    each = {name: max(len(entries) // len(valid), 1) for name, entries in found.items()}
    return {name: [isfinite(v) and valid[k // each[name]] for k, v in enumerate(found[name])] for name in found}
