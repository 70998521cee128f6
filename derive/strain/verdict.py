"""What rounding does to the results of a whole derivation, at strained points."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import isfinite
from typing import NamedTuple

from derive import syntax as st
from derive.strain.floats import Round, double, single
from derive.strain.grid import Evaluation
from derive.strain.judge import UNIT, Emptied, Judge, changed
from derive.strain.points import MIXED, Strained, emptied_points, strained_points
from derive.terms.definitions import Definition
from derive.terms.factor import to_tree
from derive.terms.style import Style

__all__ = ["LOST", "Loss", "losses", "without_value"]

#: An error that counts as lost digits: six of the 24 bits of float32, at one element in ten or more.
LOST = 64 * UNIT


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

    Both are computed in float32 and in float64. Where an axis is empty another value counts as well, in float64, if all outputs
    have values there.
    """
    forms = (_trees(stable, style), _trees(chain, style)), (_trees(computed, style), _trees(lines, style))
    strained, out = strained_points(op), dict[str, str]()
    gradients = [st.adjoint_name(t.name) for t in op.differentiable]
    for working in (single, double):
        reference, own = (_finite(strained, *form, working, gradients) for form in forms)
        for name in [n for n in gradients if n in own]:
            each = max(len(own[name]) // len(strained.kinds), 1)
            kinds = dict.fromkeys(
                strained.kinds[k // each]
                for k, (a, b) in enumerate(zip(reference[name], own[name], strict=True))
                if a and not b
            )
            out[name] = out.get(name) or ", ".join(kinds)
    outputs = [t.name for t in op.outputs]
    pairs = [p for p in zip(*(_emptied(op, *form) for form in forms), strict=True) if p[0].has_values(outputs)]
    for name in out:
        kinds = dict.fromkeys(
            chained.kind for chained, closed in pairs if changed(chained.values.tables[name], closed.values.tables[name])
        )
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
