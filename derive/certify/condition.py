"""Whether a rewriting loses digits: the condition of both sides of a step, where the numbers are large.

The condition of a sum is that of its rounding: the absolute values of its terms added up, relative to its value.
Source: Higham, Accuracy and Stability of Numerical Algorithms (2nd edition, 2002), section 4.2.
"""

from __future__ import annotations

from decimal import Decimal

from derive.certify.flat import Values
from derive.certify.numbers import REAL
from derive.certify.stage import Stage
from derive.derivation import Derivation, Step
from derive.points import Point
from derive.terms.sums import Sum

__all__ = ["LIMIT", "harder", "worse"]

#: A condition that counts as none: ``1 - v`` with ``v`` at most a half.
LIMIT = 3
#: What is nothing but rounding of the condition itself.
SLACK = Decimal(1) + Decimal(10) ** -9
#: The inputs are so much larger than at the points of the other checks that what saturates is saturated.
FACTOR = 10


def harder(derivation: Derivation, at: Point) -> Point:
    """The point with larger inputs; labels, constants and upstream gradients stay."""
    tables = dict(at.tables)
    for t in derivation.op.differentiable:
        tables[t.name] = [v * FACTOR for v in at.tables[t.name]]
    return Point(at.sizes, tables)


def worse(step: Step, values: Values, stage: Stage) -> str:
    """Where the right side of a step is conditioned worse than its left side and than ``LIMIT``, or nothing."""
    before, after = (_conditions(values, body, step.index) for body in (step.before, step.after))
    for k, (a, b) in enumerate(zip(after, before, strict=True)):
        if a > REAL.context.multiply(max(Decimal(LIMIT), b), SLACK):
            return f"the condition rises from {float(b):.3g} to {float(a):.3g}{stage.where(step.index, k)}"
    return ""


def _conditions(values: Values, body: Sum, index: tuple[str, ...]) -> list[Decimal]:
    pairs = zip(values.sum(body, index), values.magnitudes().sum(body, index), strict=True)
    divide = REAL.context.divide
    return [divide(s, v.copy_abs()) if v and v.is_finite() and s.is_finite() else Decimal(1) for v, s in pairs]
