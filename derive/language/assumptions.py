"""Whether assumptions can hold together."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Any

from derive.syntax import Compare, Num, Read

#: Whether two numbers stand to each other as a comparison says; with NaN none but ``!=`` does.
HOLDS: dict[str, Callable[[Any, Any], Any]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
}


def contradiction(name: str, default: str | None, assumptions: Iterable[Compare]) -> str | None:
    """What is wrong with the assumptions about a name: that its default breaks one, or that no number meets all."""
    bounds = [(a.rel, a.right.value) for a in assumptions if a.left == Read(name) and isinstance(a.right, Num)]
    for rel, bound in bounds:
        if default is not None and not HOLDS[rel](Fraction(default), bound):
            return f"the default {name}={default} breaks the assumption {name} {rel} {bound}"
    if bounds and not any(all(HOLDS[rel](x, bound) for rel, bound in bounds) for x in _candidates([b for _, b in bounds])):
        said = ", ".join(f"{name} {rel} {bound}" for rel, bound in bounds)
        return f"no number meets all assumptions about '{name}': {said}"
    return None


def _candidates(bounds: list[Fraction]) -> list[Fraction]:
    """The bounds, one number between each two neighbours, and one beyond either end: comparisons tell no others apart."""
    ordered = sorted(set(bounds))
    between = [(a + b) / 2 for a, b in zip(ordered, ordered[1:], strict=False)]
    return [ordered[0] - 1, *ordered, *between, ordered[-1] + 1]
