"""An op at a point: its given tensors, and evaluators of the author's equations and of flat definitions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import Any, TypeVar

from derive import syntax as st
from derive.certify.arrays import Frame
from derive.certify.flat import Bound, Values
from derive.certify.numbers import DIGITS, REAL, Numbers, real
from derive.certify.swayed import Swayed
from derive.certify.trees import Trees, in_order
from derive.labels import whole_constants
from derive.points import Point, draw_point, draw_tied_point, has_kinks, sizes_of
from derive.recurrence import unrolled

__all__ = ["NoPoint", "Stage", "guarded", "point", "precise", "reason_of", "stage_of", "tied_point"]

T = TypeVar("T")
ATTEMPTS = 40
#: Values up to 10**MODERATE leave enough of the usual digits where they cancel. Points with values beyond 10**RANGE, about
#: the range of float64, are avoided.
MODERATE, RANGE = 20, 300


class NoPoint(ArithmeticError):
    """No random point was found at which every output of the op is a finite number."""


class Stage:
    """One op at one point, in one arithmetic."""

    def __init__(self, op: st.Op, at: Point, numbers: Numbers = REAL):
        self.op, self.at, self.numbers = op, at, numbers
        self.frame = Frame(at.sizes)
        self.axes = {t.name: t.axes for t in op.inputs} | {c.name: () for c in op.constants}
        self.axes |= {st.adjoint_name(t.name): t.axes for t in op.outputs}
        self.given: dict[str, list[Any]] = {n: [numbers.number(Fraction(v)) for v in t] for n, t in at.tables.items()}
        #: The integer tensors and the constants that are whole numbers, as integers. ``given`` has them as numbers too.
        self.labels = {t.name: [int(v) for v in at.tables[t.name]] for t in op.inputs if t.integer}
        self.labels |= {c: [int(v) for v in at.tables[c]] for c in whole_constants(op)}

    def trees(self, tables: Mapping[str, list[Any]] = {}, axes: Mapping[str, tuple[str, ...]] = {}) -> Trees:
        """An evaluator of trees over the given tensors, or over ``tables`` in their place, which may have further ``axes``."""
        return Trees(self.frame, self.numbers, {**self.axes, **axes}, tables or self.given, self.labels)

    def values(self, definitions: Iterable[Bound]) -> Values:
        """The values of definitions, computed from the given tensors."""
        return Values(self.frame, self.numbers, self.axes, self.given, definitions, self.labels)

    @cached_property
    def author(self) -> Trees:
        """The equations as the author wrote them, evaluated."""
        for _ in self.equations():
            pass
        return self.evaluated

    @cached_property
    def evaluated(self) -> Trees:
        """The evaluator of the author's equations, with the equations evaluated so far."""
        return self.trees()

    def equations(self) -> Iterator[list[Any]]:
        """The values of the equations in order, each computed when it is asked for."""
        nodes = self.evaluated.nodes
        for e in unrolled(self.op.equations, self.op.carries, self.at.sizes):
            yield nodes[e.name].array.values if e.name in nodes else self.evaluated.define(e.name, e.index, e.rhs)

    @cached_property
    def truth(self) -> dict[str, list[Any]]:
        """The brute-force gradients of ``sum(dy*y)``, from the equations as written."""
        upstream = {t.name: self.given[st.adjoint_name(t.name)] for t in self.op.outputs}
        wanted = [t.name for t in self.op.differentiable]
        return {st.adjoint_name(n): v for n, v in self.author.gradients(upstream, wanted).items()}

    def finite(self) -> bool:
        """Whether every output is finite."""
        return all(self.numbers.finite(v) for t in self.op.outputs for v in self.author.nodes[t.name].array.values)

    def defined(self) -> bool:
        """Whether no equation has an undefined value. No equation after an undefined one is evaluated."""
        return all(v == v for values in self.equations() for v in values)

    def reach(self) -> int:
        """The exponent of ten of the largest value of the equations, of their parts and of the gradients; at least 0."""
        columns = [*(node.array.values for node in in_order(list(self.author.nodes.values()))), *self.truth.values()]
        return max(0, *(v.adjusted() for values in columns for v in values if isinstance(v, Decimal) and v.is_finite() and v))

    def difference(
        self, one: list[Any], other: list[Any], index: tuple[str, ...], sizes: Callable[[], Sequence[Any]] | None = None
    ) -> str:
        """Where two tensors differ; "" if they agree. ``sizes`` gives, for each element, its terms' sum of absolute values."""
        if len(one) != len(other):
            return "the shapes differ"
        near, known = self.numbers.near, None
        for k, (a, b) in enumerate(zip(one, other, strict=True)):
            if near(a, b):
                continue
            if known is None:
                known = sizes() if sizes else one
            if near(a, b, [known[k]]):
                continue
            found = f"{a} against {b}" if isinstance(a, int) else f"{float(a):.6g} against {float(b):.6g}"
            return found + self.where(index, k)
        return ""

    def where(self, index: tuple[str, ...], position: int) -> str:
        """The indices of an element, for a message."""
        at: list[int] = []
        for i in reversed(index):
            position, k = divmod(position, self.frame.length(i))
            at.insert(0, k)
        return f" at [{', '.join(map(str, at))}]" if at else ""


def point(op: st.Op, seed: int) -> Point:
    """A random point at which every output is finite (NoPoint if none is found)."""
    return stage_of(op, seed).at


@lru_cache(maxsize=4)
def stage_of(op: st.Op, seed: int) -> Stage:
    """The op at a random point at which every output is finite (NoPoint if none is found)."""
    sizes, finite = sizes_of(op, seed), None
    for attempt in range(ATTEMPTS):
        stage = Stage(op, draw_point(op, seed, sizes, attempt, ATTEMPTS))
        if stage.finite():
            if found := precise(stage):
                return found
            finite = finite or stage
    if finite is None:
        raise NoPoint(f"{op.name}: no random point gives finite outputs; state what the inputs satisfy, such as x > 0")
    return finite


def precise(stage: Stage) -> Stage | None:
    """The stage with enough digits for large values to cancel; None if values exceed 10**RANGE.

    A product in a gradient is at most the square of the largest value.
    """
    reach = stage.reach()
    if reach <= MODERATE:
        return stage
    return Stage(stage.op, stage.at, real(DIGITS + 2 * reach)) if reach <= RANGE else None


def tied_point(op: st.Op, seed: int) -> Point | None:
    """A point at which values tie or are 0; None if none is found, or for an op without kinks.

    The equations and their gradients are finite there, even if 0 times an undefined value counts as undefined.
    """
    if not has_kinks(op):
        return None
    for attempt in range(ATTEMPTS):
        found = draw_tied_point(op, seed, attempt, ATTEMPTS)
        strict = Stage(op, found, Swayed(seed, 1))
        if not (strict.finite() and all(v.is_finite() for values in strict.truth.values() for v in values)):
            continue
        if strict.reach() <= RANGE:
            return found
    return None


def reason_of(compute: Callable[[], str], at: str) -> str:
    """What ``compute`` finds wrong, or why it fails, with the point ``at``; "" if nothing is wrong."""
    found, missing = guarded(compute)
    return f"{found or missing} ({at})" if found or missing else ""


def guarded(compute: Callable[[], T]) -> tuple[T | None, str]:
    """The value of ``compute`` and "", or None and a message that says why there is no value."""
    try:
        return compute(), ""
    except KeyError as error:
        return None, f"nothing defines {error.args[0]}"
    except ArithmeticError as error:
        return None, f"it has no value: {error}"
    except (AssertionError, IndexError, TypeError, ValueError) as error:  # a wrong rule may leave a malformed expression
        return None, f"it cannot be evaluated: {error}"
