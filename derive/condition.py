"""Whether a rewriting loses digits: the condition of both sides of a step, where the numbers are large.

The condition of a sum is that of its rounding: the absolute values of its terms added up, relative to its value.
Source: Higham, Accuracy and Stability of Numerical Algorithms (2nd edition, 2002), section 4.2.
"""

from __future__ import annotations

from typing import Any

from derive.derivation import Derivation, Step
from derive.evaluate import MP, Point, Total, Values

__all__ = ["LIMIT", "harder", "worse"]

#: A condition that counts as none: ``1 - v`` with ``v`` at most a half.
LIMIT = 3
#: Sums of absolute values are kept in float64.
SLACK = 1e-9
#: The inputs are so much larger than at the points of the other checks that what saturates is saturated.
FACTOR = 10


def harder(derivation: Derivation, at: Point) -> Point:
    """The point with larger inputs; labels, constants and upstream gradients stay."""
    tables = dict(at.tables)
    for t in derivation.op.differentiable:
        tables[t.name] = {k: v * FACTOR for k, v in at.tables[t.name].items()}
    return Point(at.sizes, tables)


def worse(step: Step, values: Values) -> str:
    """Where the right side of a step is conditioned worse than its left side and than ``LIMIT``, or nothing."""
    before, after = (_conditions(values.sum(body, step.index)) for body in (step.before, step.after))
    for k, a in after.items():
        if a > max(LIMIT, before[k]) * (1 + SLACK):
            at = f" at [{', '.join(map(str, k))}]" if k else ""
            return f"the condition rises from {float(before[k]):.3g} to {float(a):.3g}{at}"
    return ""


def _conditions(total: Total) -> dict[tuple[int, ...], Any]:
    return {k: MP.mpf(total.scale[k]) / abs(v) if v else MP.mpf(1) for k, v in total.value.items()}
