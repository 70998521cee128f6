"""Brute-force derivatives against difference quotients, which need no table of derivatives."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from decimal import Decimal
from fractions import Fraction
from typing import Any

from derive import syntax as st
from derive.certify.numbers import REAL, Numbers, Real
from derive.certify.stage import Stage
from derive.points import Point, random_of
from derive.syntax import adjoint_name

__all__ = ["differences", "direction"]

#: The step of a difference quotient, and the largest difference of both one-sided slopes where there is a derivative.
STEP, SMOOTH = Fraction(1, 10**40), Decimal(10) ** -25


def direction(count: int, *what: object) -> list[Fraction]:
    """A random direction without components near 0."""
    rng = random_of(*what, "direction")
    return [Fraction(rng.randrange(125_000, 975_000), 1_000_003) * rng.choice((1, -1)) for _ in range(count)]


def differences(stage: Stage, names: Sequence[str], seed: int) -> str:
    """Why the derivative along a random direction in some inputs is not the difference quotient; "" if it is.

    Where the one-sided slopes differ, the point lies on a kink. Nothing is compared there, as the derivative is declared.
    """
    numbers = stage.numbers
    r = {name: direction(len(stage.at.tables[name]), stage.op.name, seed, name) for name in names}
    middle = _value(stage, stage)
    right, left = (_moved(stage, r, h) for h in (STEP, -STEP))
    ahead, behind = _quotient(numbers, right, middle), _quotient(numbers, middle, left)
    if not (numbers.finite(ahead) and numbers.finite(behind)):
        return ""
    bend = numbers.plus([ahead], numbers.negated([behind]))[0]
    if bend.copy_abs() > REAL.context.multiply(SMOOTH, REAL.context.add(1, ahead.copy_abs())):
        return ""
    slope = numbers.scaled(numbers.plus([ahead], [behind]), numbers.number(Fraction(1, 2)))[0]
    parts = [p for n in names for p in numbers.times(stage.truth[adjoint_name(n)], [numbers.number(v) for v in r[n]])]
    found = numbers.total(parts)
    return "" if numbers.near(found, slope, [*parts, middle]) else f"{float(found):.6g} against {float(slope):.6g}"


def _moved(stage: Stage, direction: Mapping[str, Sequence[Fraction]], h: Fraction) -> Any:
    """``sum(dy*y)`` at the point with its inputs moved by ``h`` along ``direction``."""
    moved = {n: [a + h * b for a, b in zip(stage.at.tables[n], r, strict=True)] for n, r in direction.items()}
    point = Point(stage.at.sizes, {**stage.at.tables, **moved})
    return _value(stage, Stage(stage.op, point, _held(stage)))


def _held(stage: Stage) -> Numbers:
    """The arithmetic in which every ``stop`` has the values that it has at the point, as nothing moves it."""
    numbers = stage.numbers
    stops = any(isinstance(n, st.Call) and n.head == "stop" for e in stage.op.equations for n in st.walk(e.rhs))
    if not (stops and isinstance(numbers, Real)):
        return numbers
    known = list[Decimal]()

    def record(x: Decimal) -> Decimal:
        known.append(x)
        return x

    _ = Stage(stage.op, stage.at, _stopping(numbers, record)).author
    values = iter(known)
    return _stopping(numbers, lambda x: next(values))


def _stopping(numbers: Real, stop: Callable[[Decimal], Decimal]) -> Real:
    found = copy(numbers)
    found.functions = {**numbers.functions, "stop": stop}
    return found


def _value(stage: Stage, at: Stage) -> Any:
    numbers = stage.numbers
    columns = [(at.author.nodes[t.name].array.values, stage.given[adjoint_name(t.name)]) for t in stage.op.outputs]
    return numbers.total(p for y, dy in columns for p in numbers.times(y, dy))


def _quotient(numbers: Numbers, after: Any, before: Any) -> Any:
    return numbers.over(numbers.plus([after], numbers.negated([before])), [numbers.number(STEP)])[0]
