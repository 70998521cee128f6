"""Whether the assumptions about a name contradict each other or the name's default."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Any

from derive.syntax import Compare, Num, Read

#: The truth of each comparison of two numbers. With NaN only ``!=`` is true.
HOLDS: dict[str, Callable[[Any, Any], Any]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
}


def contradiction(name: str, default: str | None, assumptions: Iterable[Compare]) -> str | None:
    """A message if the default of a name breaks an assumption, or if no number meets all assumptions; else None."""
    bounds = [(a.rel, a.right.value) for a in assumptions if a.left == Read(name) and isinstance(a.right, Num)]
    for rel, bound in bounds:
        if default is not None and not HOLDS[rel](Fraction(default), bound):
            return f"the default {name}={default} breaks the assumption {name} {rel} {bound}"
    if bounds and not any(all(HOLDS[rel](x, bound) for rel, bound in bounds) for x in _candidates([b for _, b in bounds])):
        said = ", ".join(f"{name} {rel} {bound}" for rel, bound in bounds)
        return f"no number meets all assumptions about '{name}': {said}"
    return None


def _candidates(bounds: list[Fraction]) -> list[Fraction]:
    """Numbers to test: the bounds, one number between any two neighbouring bounds, and one beyond either end.

    Comparisons with the bounds cannot tell any other number from all of these.
    """
    ordered = sorted(set(bounds))
    between = [(a + b) / 2 for a, b in zip(ordered, ordered[1:], strict=False)]
    return [ordered[0] - 1, *ordered, *between, ordered[-1] + 1]
