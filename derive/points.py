"""Random points: sizes of the axes, exact values of inputs and constants that respect what the op assumes."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from random import Random

from derive import syntax as st
from derive.language.axes import equal_axes

__all__ = ["Point", "draw_point", "draw_tied_point", "has_kinks", "interval", "loops", "random_of", "sizes_of"]

#: Sizes of the axes, in turn: the first axis often is the one averaged over, and N - 1 must differ from 1.
SIZES = (3, 4, 2)
#: The positions of the largest loop of an op at a point are at most so many, however many axes it has.
LARGEST = 400
#: Lengths of the axes where values tie: the inverse of such a length is exact, and so are means.
EVEN_SIZES = (4, 2)
#: What ties; and where it has bounds, at which quarters of the way between them.
TYING, BETWEEN = (Fraction(-1), Fraction(-1, 2), Fraction(0), Fraction(1, 2), Fraction(1), Fraction(2)), (1, 2, 3)
#: Functions with a kink or a step.
KINKED = frozenset({"abs", "sign", "floor", "maximum", "minimum", "where"})
#: Draws of one sign, and within the unit interval, begin at these parts of the attempts.
SIGNED, NARROW = 0.25, 0.5

#: The elements of a tensor, the last axis fastest: fractions, or ``int`` where it holds labels.
Elements = Sequence[Fraction | int]


@dataclass(frozen=True)
class Point:
    """Sizes of the axes and exact random values of the inputs, the constants and the upstream gradients ``dy``."""

    sizes: dict[str, int]
    tables: dict[str, Elements]


def random_of(*what: object) -> Random:
    """A random source that depends on nothing but the text of its arguments, on any machine and under any hash seed."""
    return Random(int.from_bytes(hashlib.sha256("/".join(map(str, what)).encode()).digest()[:8], "big"))


def interval(op: st.Op, name: str) -> tuple[Fraction | None, Fraction | None]:
    """The bounds that the assumptions set."""
    low: Fraction | None = None
    high: Fraction | None = None
    for a in op.assumptions:
        if isinstance(a.left, st.Read) and a.left.name == name and isinstance(a.right, st.Num):
            bound = a.right.value
            if a.rel in (">", ">=", "=="):
                low = bound if low is None else max(low, bound)
            if a.rel in ("<", "<=", "=="):
                high = bound if high is None else min(high, bound)
    return low, high


# ---- sizes --------------------------------------------------------------------------------------------------------------


def sizes_of(op: st.Op, seed: int, choice: Sequence[int] = SIZES) -> dict[str, int]:
    """Small sizes of the op's axes, equal only where the equations read one axis where another is declared.

    Where an equation has so many axes that its loop would be too long, the last ones are shorter: which are last changes
    with the seed, and each is as long as the others at some point.
    """
    classes = equal_axes(op)
    roots = list(dict.fromkeys(classes.values()))
    # Axes as far apart as there are sizes take the same one in one turn, and different ones in the next.
    length = {r: choice[(k + seed * (1 + k // len(choice))) % len(choice)] for k, r in enumerate(roots)}
    turn = seed * max(len(roots) // 2, 1) % max(len(roots), 1)
    shorten(length, [{classes[a] for a in loop} for loop in loops(op)], roots[turn:] + roots[:turn], LARGEST)
    return {a: length[r] for a, r in classes.items()}


def shorten(length: dict[str, int], spans: Collection[Collection[str]], order: list[str], largest: int) -> None:
    """Make axes shorter, the last of the order first, until no span has more positions than ``largest``."""
    for least in (2, 1):
        for axis in reversed(order):
            if _longest(length, spans, axis) > largest:
                length[axis] = min(length[axis], least)


def _longest(length: Mapping[str, int], spans: Collection[Collection[str]], axis: str) -> int:
    """The positions of the longest span that has the axis."""
    longest = 0
    for span in spans:
        if axis in span:
            n = 1
            for a in span:
                n *= length[a]
            longest = max(longest, n)
    return longest


def loops(op: st.Op) -> list[frozenset[str]]:
    """For each input and equation the axes that computing it loops over."""
    out = [frozenset(t.axes) for t in op.inputs]
    for e in op.equations:
        inside = {i for n in st.walk(e.rhs) if isinstance(n, st.Reduce) for i in n.index}
        out.append(frozenset(st.axis_of(i) for i in inside | set(e.index) | set(st.free_indices(e.rhs))))
    return out


# ---- values -------------------------------------------------------------------------------------------------------------


def draw_point(op: st.Op, seed: int, sizes: dict[str, int], attempt: int, attempts: int) -> Point:
    """Random values: of any sign in the first attempts, then of one sign, then within the unit interval.

    Seed 0 takes the constants' defaults, the others random values of the same sign, so that ``ddof=0`` hides nothing.
    """
    tables: dict[str, Elements] = {}
    for t in op.inputs:
        rng = random_of(op.name, seed, attempt, t.name)
        if t.labels is not None:
            tables[t.name] = [rng.randrange(sizes[t.labels]) for _ in _positions(t.axes, sizes)]
        else:
            sign = None if attempt < attempts * SIGNED else rng.choice((1, -1))
            width = 2 if attempt < attempts * NARROW else 1
            low, high = interval(op, t.name)
            tables[t.name] = [_draw(rng, low, high, sign, width) for _ in _positions(t.axes, sizes)]
    for c in op.constants:
        default = None if c.default is None else Fraction(c.default)
        rng, (low, high) = random_of(op.name, seed, attempt, c.name), interval(op, c.name)
        drawn = _draw(rng, low, high, -1 if default and default < 0 else 1, 1)
        tables[c.name] = [drawn if default is None or seed > 0 else default]
    for t in op.outputs:
        rng = random_of(op.name, seed, attempt, st.adjoint_name(t.name))
        tables[st.adjoint_name(t.name)] = [_draw(rng, None, None, None, 2) for _ in _positions(t.axes, sizes)]
    return Point(sizes, tables)


def has_kinks(op: st.Op) -> bool:
    """Whether the equations choose among values, so that ties are a case of their own."""
    nodes = [n for e in op.equations for n in st.walk(e.rhs)]
    return any(
        (isinstance(n, st.Call) and n.head in KINKED)
        or (isinstance(n, st.Reduce) and n.kind in ("max", "min"))
        or (isinstance(n, st.Indicator) and isinstance(n.cond, st.Compare))
        for n in nodes
    )


def draw_tied_point(op: st.Op, seed: int, attempt: int, attempts: int) -> Point:
    """Inputs that are few small multiples of 1/2, so that they tie and are 0; not in the second half of the attempts.

    The lengths of the axes are powers of 2. Constants have their defaults. A label may be any.
    """
    sizes = sizes_of(op, seed, EVEN_SIZES)
    tables: dict[str, Elements] = {}
    for t in op.inputs:
        rng = random_of(op.name, "ties", seed, attempt, t.name)
        if t.labels is not None:
            tables[t.name] = [rng.randrange(sizes[t.labels]) for _ in _positions(t.axes, sizes)]
        else:
            values = _tying(*interval(op, t.name), attempt < attempts / 2, rng)
            dealt = [values[k % len(values)] for k in _positions(t.axes, sizes)]
            tables[t.name] = rng.sample(dealt, len(dealt))
    for c in op.constants:
        rng, (low, high) = random_of(op.name, "ties", seed, c.name), interval(op, c.name)
        tables[c.name] = [Fraction(c.default) if c.default is not None else _tying(low, high, False, rng)[0]]
    for t in op.outputs:
        rng = random_of(op.name, "ties", seed, st.adjoint_name(t.name))
        tables[st.adjoint_name(t.name)] = [
            Fraction(rng.randrange(8, 128), 64) * rng.choice((1, -1)) for _ in _positions(t.axes, sizes)
        ]
    return Point(sizes, tables)


def _tying(low: Fraction | None, high: Fraction | None, zero: bool, rng: Random) -> list[Fraction]:
    """Three values within the bounds, 0 among them where it is within and asked for."""
    if low is not None and high is not None:
        return [low + (high - low) * k / 4 for k in BETWEEN]
    if low is not None or high is None:
        above = [(low or Fraction(0)) + v for v in TYING if v > 0]
        return above if low is not None or not zero else [Fraction(0), *rng.sample([v for v in TYING if v], 2)]
    return [high - v for v in TYING if v > 0]


def _positions(axes: tuple[str, ...], sizes: Mapping[str, int]) -> Iterator[int]:
    n = 1
    for a in axes:
        n *= sizes[st.axis_of(a)]
    return iter(range(n))


def _draw(rng: Random, low: Fraction | None, high: Fraction | None, sign: int | None, width: int) -> Fraction:
    """A fraction well inside the bounds; without bounds its size lies between 1/8 and ``width``."""
    part = Fraction(rng.randrange(125_000, 975_000), 1_000_003)
    if low is not None and high is not None:
        return low + (high - low) * part
    if low is not None:
        return low + part * width
    if high is not None:
        return high - part * width
    return part * width * (sign or rng.choice((1, -1)))
