"""What rounding does to the results of a whole derivation, at strained points."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from derive import syntax as st
from derive.factor import Style
from derive.flatten import Definition
from derive.strain.floats import double, single
from derive.strain.judge import UNIT, Judge, lost
from derive.strain.points import MIXED

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


def losses(op: st.Op, definitions: Iterable[Definition], lines: Iterable[Definition], style: Style) -> tuple[Loss, ...]:
    """The outputs and gradients that lose digits, computed from the inputs with every operation rounded to float32."""
    lines = tuple(lines)
    judge = Judge(op, definitions, style)
    for line in lines:
        judge.define(line)
    found = []
    for name in [*(t.name for t in op.outputs), *(f"d{t.name}" for t in op.differentiable)]:
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

    Both are computed in float32 and in float64.
    """
    definitions, closed, out = (tuple(stable), tuple(chain)), (tuple(computed), tuple(lines)), dict[str, str]()
    for working in (single, double):
        reference, own = (Judge(op, forward, style, working) for forward in (definitions[0], closed[0]))
        for judge, rest in ((reference, definitions[1]), (own, closed[1])):
            for d in rest:
                judge.define(d)
        for name in [f"d{t.name}" for t in op.differentiable if f"d{t.name}" in own.exact]:
            before, after = (judge.finite(judge.rounded[name].entries) for judge in (reference, own))
            each = max(len(before) // len(own.kinds), 1)
            kinds = dict.fromkeys(
                own.kinds[k // each] for k, (a, b) in enumerate(zip(before, after, strict=True)) if a and not b
            )
            kinds |= dict.fromkeys(
                a.kind for a, b in zip(reference.emptied, own.emptied, strict=True) if lost(a.tables[name], b.tables[name])
            )
            out[name] = out.get(name) or ", ".join(kinds)
    return out
