"""Whether a rewriting loses digits: the condition numbers of both sides of a step, at points with large inputs.

The condition number of a sum is the sum of its terms' absolute values, divided by the absolute value of the sum.
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

#: Condition numbers up to this count as harmless: ``1 - v`` with ``v`` at most 1/2 has at most 3.
LIMIT = 3
#: The rounding error of a condition number itself, as a factor.
SLACK = Decimal(1) + Decimal(10) ** -9
#: Inputs are this many times larger than at the points of the other checks, so that functions that saturate are saturated.
FACTOR = 10


def harder(derivation: Derivation, at: Point) -> Point:
    """The point with its floating-point inputs ``FACTOR`` times larger."""
    tables = dict(at.tables)
    for t in derivation.op.differentiable:
        tables[t.name] = [v * FACTOR for v in at.tables[t.name]]
    return Point(at.sizes, tables)


def worse(step: Step, values: Values, stage: Stage) -> str:
    """Where the right side of a step has a larger condition number than its left side and than ``LIMIT``; "" if nowhere."""
    before, after = (_conditions(values, body, step.index) for body in (step.before, step.after))
    for k, (a, b) in enumerate(zip(after, before, strict=True)):
        if a > REAL.context.multiply(max(Decimal(LIMIT), b), SLACK):
            return f"the condition rises from {float(b):.3g} to {float(a):.3g}{stage.where(step.index, k)}"
    return ""


def _conditions(values: Values, body: Sum, index: tuple[str, ...]) -> list[Decimal]:
    pairs = zip(values.sum(body, index), values.magnitudes().sum(body, index), strict=True)
    divide = REAL.context.divide
    return [divide(s, v.copy_abs()) if v and v.is_finite() and s.is_finite() else Decimal(1) for v, s in pairs]
