"""The check of a recurrence as a whole: its lines, worked out step by step, against brute force over the unrolled equations."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from derive import syntax as st
from derive.certify.certificate import Check, merged
from derive.certify.stage import NoPoint, Stage, guarded, reason_of, stage_of
from derive.derivation import Derivation
from derive.engine import style_of
from derive.recurrence import adjoint_carries, first_adjoints, unrolled
from derive.terms.factor import to_tree

__all__ = ["recurrence_checks", "stepwise"]


def recurrence_checks(derivation: Derivation, seeds: tuple[int, ...]) -> tuple[Check, ...]:
    """A check of each gradient at the points of a certificate; none where there is no such point."""
    checks: list[Check] = []
    for seed in seeds:
        try:
            stage = stage_of(derivation.op, seed)
        except NoPoint as error:
            checks = merged(checks, [Check("recurrence", derivation.op.name, False, str(error))])
        else:
            checks = merged(checks, list(_checks(derivation, stage, f"seed {seed}")))
    return tuple(checks)


def _checks(derivation: Derivation, stage: Stage, at: str) -> Iterator[Check]:
    computed, missing = guarded(partial(stepwise, derivation, stage))
    axes = {line.name: line.index for line in derivation.lines}
    for name in derivation.gradients:
        found = partial(_wrong, name, computed or {}, stage, axes[name])
        reason = reason_of(found, at) if computed else f"{missing} ({at})"
        yield Check("recurrence", name, not reason, reason)


def _wrong(name: str, computed: dict[str, list[Any]], stage: Stage, index: tuple[str, ...]) -> str:
    return stage.difference(stage.truth[name], computed[name], index)


def stepwise(derivation: Derivation, stage: Stage) -> dict[str, list[Any]]:
    """The values of the forward names and of the lines of an op with recurrences, worked out step by step."""
    op = derivation.op
    style = style_of(op, derivation.forward)
    forward = [st.Equation(d.name, d.index, to_tree(d.body, d.index, style)) for d in derivation.forward]
    lines = [st.Equation(line.name, line.index, line.tree) for line in derivation.lines]
    every = [*unrolled(forward, op.carries, stage.at.sizes)]
    every += unrolled([*lines, *first_adjoints(op)], adjoint_carries(op), stage.at.sizes)
    trees = stage.trees()
    return {e.name: trees.define(e.name, e.index, e.rhs) for e in every}
