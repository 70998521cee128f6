"""Random points: lengths of the axes, and exact values of inputs and constants that meet the op's assumptions."""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import product
from math import prod
from random import Random
from typing import NamedTuple

from derive import syntax as st
from derive.declared import needed, whole_value
from derive.errors import OpError
from derive.labels import label_values, whole_constants, whole_number
from derive.language.assumptions import HOLDS
from derive.language.axes import equal_axes

__all__ = [
    "Point",
    "draw_point",
    "draw_tied_point",
    "has_kinks",
    "interval",
    "loops",
    "nests",
    "populated",
    "random_of",
    "shallow",
    "sizes_of",
]

#: Lengths of the axes, taken in turn. The first axis often is the one averaged over, and N - 1 must differ from 1.
SIZES = (3, 4, 2)
#: The most positions of an op's largest loop at a point, however many axes the loop has.
LARGEST = 400
#: The most positions of a nest of indices, in which an axis counts as often as indices run over it at once.
DEEPEST = 4096
#: How often lengths are drawn again where a declared length does not come out positive.
REDRAWN = 40
#: How much longer an axis is made at most for a declared length.
LONGEST = 1000
#: Lengths of the axes at points with ties. Their inverses are exact in floating point, and so are means.
EVEN_SIZES = (4, 2)
#: The values of inputs at points with ties. For an input with two bounds: the quarters of the way between them.
TYING, BETWEEN = (Fraction(-1), Fraction(-1, 2), Fraction(0), Fraction(1, 2), Fraction(1), Fraction(2)), (1, 2, 3)
#: Functions with a kink or a step.
KINKED = frozenset({"abs", "sign", "floor", "ceil", "round", "maximum", "minimum", "where"})
#: The shares of the attempts after which all elements of a tensor get one sign, and after which they lie within 1 of 0.
SIGNED, NARROW = 0.25, 0.5

#: The elements of a tensor in row-major order: fractions, or ``int`` in an integer tensor.
Elements = Sequence[Fraction | int]


@dataclass(frozen=True)
class Point:
    """Lengths of the axes, and exact random values of the inputs, the constants and the upstream gradients ``dy``."""

    sizes: dict[str, int]
    tables: dict[str, Elements]


def random_of(*what: object) -> Random:
    """A random source that depends only on the text of its arguments: the same on every machine and for every hash seed."""
    return Random(int.from_bytes(hashlib.sha256("/".join(map(str, what)).encode()).digest()[:8], "big"))


def interval(op: st.Op, name: str) -> tuple[Fraction | None, Fraction | None]:
    """The lower and the upper bound that the assumptions state for a name; None where they state none."""
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
    """Small lengths of the op's axes. Axes that the equations make equal have equal lengths.

    If the loop of an equation would be too long, the last axes get shorter. Which axes are last depends on the seed, so that
    every axis has its full length at some point.
    """
    return dict(sized(op, seed, tuple(choice)).sizes)


class Sized(NamedTuple):
    """Lengths of axes, and the constants that are whole numbers where an op declares lengths, which these depend on."""

    sizes: Mapping[str, int]
    constants: Mapping[str, int]


@lru_cache(maxsize=64)
def sized(op: st.Op, seed: int, choice: tuple[int, ...]) -> Sized:
    """Lengths, drawn again where a declared one is less than 1 or an extremum or a mean has no element.

    In the later turns axes are as long as declared lengths need it: ``size(i) = size(l) - 50``. OpError: none of the lengths
    would do.
    """
    sized: list[Sized] = []
    for turn in range(REDRAWN if op.declared else 1):
        rng = random_of(op.name, "sizes", seed, turn)
        late = turn >= REDRAWN // 2
        constants = _whole(op, None if not seed or choice == EVEN_SIZES else (seed, turn))
        roots = list(dict.fromkeys(equal_axes(op).values()))
        # Axes k and k + len(choice) have the same length for seed 0, and different lengths for seed 1.
        lengths = {r: choice[(k + seed * (1 + k // len(choice))) % len(choice)] for k, r in enumerate(roots)}
        if turn:
            lengths = {r: rng.choice((1, 2)) * rng.choice(choice) for r in roots}
        sized.append(Sized(_drawn(op, seed, lengths, constants, late), constants))
        short = [a for a, _ in op.declared.lengths if sized[-1].sizes[a] < 1]
        if short:
            sized.pop()
        elif populated(op, *sized[-1]):
            return sized[-1]
    if not sized:
        raise OpError(f"the declared length of '{short[0]}' came out below 1, whatever the lengths that it needs", op=op.name)
    return sized[0]


def populated(op: st.Op, sizes: Mapping[str, int], constants: Mapping[str, int]) -> bool:
    """Whether declared lengths are positive, and every reduction under rows that needs an element has one at every position.

    These are extrema, means, and sums of which a logarithm is taken.

    ``constants`` are those that are whole numbers. Rows of labels are not looked at, and neither is an op without declared
    lengths.
    """
    sized = Sized(sizes, constants)
    if not op.declared or any(sizes[a] < 1 for a, _ in op.declared.lengths):
        return not op.declared
    nodes = [n for e in op.equations for n in st.walk(e.rhs)]
    logs = [n.args[0] for n in nodes if isinstance(n, st.Call) and n.head == "log"]
    for node in (n for n in nodes if isinstance(n, st.Reduce)):
        rows = st.taking_part(node)[1] or _rows(node, node in logs)
        names = [p.index for row in rows for p in st.walk(row) if isinstance(p, st.Position)]
        if not rows or not all(isinstance(i, str) for i in names):
            continue
        index = list(dict.fromkeys(str(i) for i in names))
        outer = [i for i in index if i not in node.index]
        order = [*outer, *(i for i in index if i in node.index)]
        spans = [range(sized.sizes[st.axis_of(i)]) for i in order]
        found = {at[: len(outer)] for at in product(*spans) if _hold(rows, sized, dict(zip(order, at, strict=True)))}
        if len(found) < prod(map(len, spans[: len(outer)])):
            return False
    return True


def _rows(tree: st.Reduce, logarithm: bool) -> list[st.Compare]:
    """The rows of a sum that counts where they hold, as a mean divides by it, or whose logarithm is taken; else none."""
    body, rows = tree.body, list[st.Compare]()
    while isinstance(body, st.Call) and body.head == "where" and isinstance(body.args[0], st.Compare):
        rows.append(body.args[0])
        body = body.args[1]
    needed = tree.kind == "sum" and (logarithm or body == st.Num(Fraction(1)))
    return rows if needed and all(map(st.on_indices, rows)) else []


def _hold(rows: Sequence[st.Compare], sized: Sized, at: Mapping[str, int]) -> bool:
    sides = [tuple(whole_value(side, *sized, at) for side in (row.left, row.right)) for row in rows]
    return all(HOLDS[row.rel](left, right) for row, (left, right) in zip(rows, sides, strict=True))


def _drawn(op: st.Op, seed: int, lengths: Mapping[str, int], constants: Mapping[str, int], fitting: bool) -> dict[str, int]:
    """The lengths of all axes, from one for each class of equal ones; ``fitting`` lengthens those that are too short."""
    classes, roots, length = equal_axes(op), list(lengths), dict(lengths)
    held = _held(op, classes, length, constants)
    length |= held
    if fitting:
        held |= _lengthened(op, length | held, {*held, *(classes[a] for a, _ in op.declared.lengths)}, constants)
        length |= held
    every = op.declared.completed({a: length[r] for a, r in classes.items()}, constants, classes)
    length = {r: every[r] for r in roots}
    turn = seed * max(len(roots) // 2, 1) % max(len(roots), 1)
    order = [r for r in roots[turn:] + roots[:turn] if r not in held]
    shorten(length, [{classes[a] for a in loop} for loop in loops(op)], order, LARGEST)
    shallow(length, nests(op), classes, order)
    return op.declared.completed({a: length[r] for a, r in classes.items()}, constants, classes)


def _held(op: st.Op, classes: Mapping[str, str], length: Mapping[str, int], constants: Mapping[str, int]) -> dict[str, int]:
    """The lengths that are given: numbers, and one length for all axes that are as long as one constant."""
    of, found = dict(constants), dict[str, int]()
    for axis, value in op.packing.lengths:
        root = classes[axis]
        found[root] = value if isinstance(value, int) else of.setdefault(value, found.get(root, length[root]))
    return found


def _lengthened(op: st.Op, length: dict[str, int], fixed: Collection[str], constants: Mapping[str, int]) -> dict[str, int]:
    """Lengths of axes that are long enough for the declared ones to be at least 1, where one axis decides that."""
    classes, found = equal_axes(op), dict[str, int]()

    def value(tree: st.Tree, root: str, more: int) -> int:
        sizes = {a: (length | found)[r] for a, r in classes.items()}
        sizes = op.declared.completed(sizes, constants, classes)
        return whole_value(tree, sizes | {a: sizes[a] + more for a, r in classes.items() if r == root}, constants, {})

    for _, tree in op.declared.lengths:
        for root in sorted({classes[a] for a in needed(tree)} - {*fixed}):
            if value(tree, root, 0) < 1 <= value(tree, root, LONGEST):
                found[root] = (length | found)[root] + bisect_left(range(LONGEST), 1, key=lambda n: value(tree, root, n))
    return found


def shorten(length: dict[str, int], spans: Collection[Collection[str]], order: list[str], largest: int) -> None:
    """Shorten axes in place, the last of ``order`` first, until no span of axes has more than ``largest`` positions."""
    for least in (2, 1):
        for axis in reversed(order):
            if _longest(length, spans, axis) > largest:
                length[axis] = min(length[axis], least)


def shallow(length: dict[str, int], running: Iterable[Iterable[str]], classes: Mapping[str, str], order: list[str]) -> None:
    """Shorten axes in place, the last of ``order`` first, until none of the :func:`nests` has over ``DEEPEST`` positions."""
    shorten(length, [[classes[a] for a in nest] for nest in running], order, DEEPEST)


def _longest(length: Mapping[str, int], spans: Collection[Collection[str]], axis: str) -> int:
    """The number of positions of the longest span that has the axis."""
    longest = 0
    for span in spans:
        if axis in span:
            n = 1
            for a in span:
                n *= length[a]
            longest = max(longest, n)
    return longest


def loops(op: st.Op) -> list[frozenset[str]]:
    """For each input and each equation, the axes that its computation loops over."""
    out = [frozenset(t.axes) for t in op.inputs]
    for e in op.equations:
        inside = {i for n in st.walk(e.rhs) if isinstance(n, st.Reduce) for i in n.index}
        out.append(frozenset(st.axis_of(i) for i in inside | set(e.index) | set(st.free_indices(e.rhs))))
    return out


def nests(op: st.Op) -> list[tuple[str, ...]]:
    """For each equation its axes, each as often as indices run over it at once: twice in ``sum[i, j](x[i]*x[j])``."""
    out = []
    for e in op.equations:
        most = Counter[str]()
        waiting: list[tuple[st.Tree, frozenset[str]]] = [(e.rhs, frozenset((*e.index, *st.free_indices(e.rhs))))]
        while waiting:
            node, running = waiting.pop()
            running |= {*node.index} if isinstance(node, st.Reduce) else set()
            most |= Counter(map(st.axis_of, running))
            waiting += ((child, running) for child in st.children(node))
        out.append(tuple(sorted(most.elements())))
    return out


# ---- values -------------------------------------------------------------------------------------------------------------


def draw_point(op: st.Op, seed: int, sizes: dict[str, int], attempt: int, attempts: int) -> Point:
    """A point with random values: of both signs in the first attempts, then of one sign, then also within 1 of 0.

    For seed 0 the constants have their defaults. For other seeds they are random numbers with the default's sign, as a
    default such as ``ddof=0`` could hide a mistake.
    """
    tables: dict[str, Elements] = {}
    whole = sized(op, seed, SIZES).constants if op.declared else _whole(op, (seed, attempt) if seed else None)
    for t in op.inputs:
        rng = random_of(op.name, seed, attempt, t.name)
        if t.integer:
            values = label_values(op, t, sizes, whole)
            tables[t.name] = [rng.choice(values) for _ in _positions(t.axes, sizes)]
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
    tables |= {c: [v] for c, v in whole.items()} | _counts(op, sizes)
    for t in op.outputs:
        rng = random_of(op.name, seed, attempt, st.adjoint_name(t.name))
        tables[st.adjoint_name(t.name)] = [_draw(rng, None, None, None, 2) for _ in _positions(t.axes, sizes)]
    return Point(sizes, tables)


def _whole(op: st.Op, of: tuple[int, int] | None) -> dict[str, int]:
    """The constants that are whole numbers: their defaults, or random ones."""
    return {
        c.name: whole_number(c, random_of(op.name, "whole", *of, c.name) if of else None)
        for c in op.constants
        if c.name in whole_constants(op)
    }


def _counts(op: st.Op, sizes: Mapping[str, int]) -> dict[str, Elements]:
    """The constants that are lengths of axes."""
    return {value: [Fraction(sizes[axis])] for axis, value in op.packing.lengths if isinstance(value, str)}


def has_kinks(op: st.Op) -> bool:
    """Whether the equations have kinks or steps, where the derivative is a matter of definition."""
    nodes = [n for e in op.equations for n in st.walk(e.rhs)]
    return any(
        (isinstance(n, st.Call) and n.head in KINKED)
        or (isinstance(n, st.Reduce) and n.kind in ("max", "min"))
        or (isinstance(n, st.Indicator) and isinstance(n.cond, st.Compare))
        for n in nodes
    )


def draw_tied_point(op: st.Op, seed: int, attempt: int, attempts: int) -> Point:
    """A point whose inputs have few distinct values, small multiples of 1/2, so that values tie.

    0 is among these values in the first half of the attempts. Lengths of axes are powers of 2. Constants have their defaults,
    and labels are random.
    """
    sizes = sizes_of(op, seed, EVEN_SIZES)
    tables: dict[str, Elements] = {}
    whole = _whole(op, None)
    for t in op.inputs:
        rng = random_of(op.name, "ties", seed, attempt, t.name)
        if t.integer:
            labels = label_values(op, t, sizes, whole)
            tables[t.name] = [rng.choice(labels) for _ in _positions(t.axes, sizes)]
        else:
            values = _tying(*interval(op, t.name), attempt < attempts / 2, rng)
            dealt = [values[k % len(values)] for k in _positions(t.axes, sizes)]
            tables[t.name] = rng.sample(dealt, len(dealt))
    for c in op.constants:
        rng, (low, high) = random_of(op.name, "ties", seed, c.name), interval(op, c.name)
        tables[c.name] = [Fraction(c.default) if c.default is not None else _tying(low, high, False, rng)[0]]
    tables |= {c: [v] for c, v in whole.items()} | _counts(op, sizes)
    for t in op.outputs:
        rng = random_of(op.name, "ties", seed, st.adjoint_name(t.name))
        tables[st.adjoint_name(t.name)] = [
            Fraction(rng.randrange(8, 128), 64) * rng.choice((1, -1)) for _ in _positions(t.axes, sizes)
        ]
    return Point(sizes, tables)


def _tying(low: Fraction | None, high: Fraction | None, zero: bool, rng: Random) -> list[Fraction]:
    """A few values within the bounds; 0 is among them if ``zero`` is set and there are no bounds."""
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
    """A random fraction well inside the bounds. Without bounds its absolute value is at least ``width/8``, below ``width``."""
    part = Fraction(rng.randrange(125_000, 975_000), 1_000_003)
    if low is not None and high is not None:
        return low + (high - low) * part
    if low is not None:
        return low + part * width
    if high is not None:
        return high - part * width
    return part * width * (sign or rng.choice((1, -1)))
