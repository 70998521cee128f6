"""Strained points: inputs with offsets, saturation, ties, zeros, and tiny, huge or mixed scales, at which rounding shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import prod
from random import Random
from typing import NamedTuple

import numpy as np

from derive import syntax as st
from derive.labels import label_values, whole_constants, whole_number
from derive.language.axes import equal_axes
from derive.points import interval, loops, nests, random_of, shallow, shorten
from derive.strain.floats import Floats, Truths, number, silent, single
from derive.strain.grid import Grid, Table

__all__ = ["KINDS", "MIXED", "Strained", "emptied_points", "strained_kinds", "strained_points"]

#: A number of order 1, of either sign.
Draw = Callable[[Random], float]


def _moderate(rng: Random) -> float:
    return rng.uniform(0.1, 2) * rng.choice((1, -1))


def _saturated(rng: Random) -> float:
    return rng.choice((18, 25, 95, 110, 300)) * rng.uniform(0.9, 1.1) * rng.choice((1, -1))


def _mixed(rng: Random) -> float:
    return rng.choice((1, -1)) * float(10 ** rng.uniform(-6, 2.7))


MIXED = "mixed scales"
#: For each kind of strain, the function that draws an element. An offset is common to all elements.
KINDS: dict[str, Draw] = {
    "moderate": _moderate,
    "offset": lambda rng: 1e4 + rng.uniform(-1, 1),
    "saturated above": lambda rng: rng.uniform(15, 25),
    "saturated below": lambda rng: -rng.uniform(15, 25),
    "tail above": lambda rng: rng.uniform(3, 12),
    "tail below": lambda rng: -rng.uniform(3, 12),
    "beyond the exponential's range": lambda rng: rng.uniform(88, 130) * rng.choice((1, -1)),
    "beyond its range in float64": lambda rng: rng.uniform(710, 900) * rng.choice((1, -1)),
    "tiny": lambda rng: 1e-12 * _moderate(rng),
    "large": lambda rng: 1e3 * _moderate(rng),
    "huge": lambda rng: 1e10 * _moderate(rng),
    "ties": lambda rng: 0.5,
    "zeros": lambda rng: 0.0,
    MIXED: _mixed,
    "cubes beyond float32": lambda rng: 1e14 * _moderate(rng),
}
#: Pairs of lengths that axes take in turn. If a pair makes a tensor larger than ``LARGEST``, the next pair is taken.
SIZES, LARGEST = ((3, 4), (3, 3), (2, 2)), 150
#: If a loop has more than ``LOOP`` positions, axes get shorter, down to length 1, until no loop has more than ``SHORT``.
LOOP, SHORT = 150, 40
#: The length of the other axes at points where one axis is empty.
LEAST = 2
#: For each kind: the least number of elements of the largest tensor over all points, and the least number of points.
ELEMENTS, REPEATS = 60, 6


@dataclass(frozen=True)
class Strained:
    """The strained points of an op. ``kinds`` has the kind of each point.

    ``tables`` are the inputs, constants and upstream gradients. Their values are exact in float32.
    """

    grid: Grid
    tables: Mapping[str, Table]
    kinds: tuple[str, ...]

    def at(self, points: Sequence[int]) -> Strained:
        """The points with the given numbers."""
        tables = {}
        for name, (index, entries) in self.tables.items():
            tables[name] = Table(index, entries.reshape(len(self.kinds), self.grid.count(index))[list(points)].reshape(-1))
        return Strained(Grid(self.grid.sizes, len(points)), tables, tuple(self.kinds[p] for p in points))

    def scaled(self, names: Sequence[str], factor: float) -> Strained:
        """The same points with the entries of some tensors multiplied by a power of 2."""
        larger = {n: Table(self.tables[n].index, factor * self.tables[n].entries) for n in names}
        return Strained(self.grid, {**self.tables, **larger}, self.kinds)

    @silent
    def all_finite(self, entries: Floats) -> Truths:
        """For each point, whether every entry of a tensor is finite there, and so is their sum."""
        at = entries.reshape(len(self.kinds), -1)
        return np.isfinite(np.add.accumulate(at, axis=1)[:, -1])


class Scheme(NamedTuple):
    """A kind of strain, and the inputs that are strained. All other inputs are moderate."""

    kind: str
    draw: Draw
    names: frozenset[str]


def _groups(names: list[str], most: int = 4) -> list[frozenset[str]]:
    """The inputs in at most ``most`` groups; no groups for a single input."""
    count = min(len(names), most)
    return [frozenset(names[k::count]) for k in range(count)] if count > 1 else []


def strained_kinds(op: st.Op) -> tuple[str, ...]:
    """The kinds of strain of an op's strained points."""
    return tuple(scheme.kind for scheme in _schemes(op))


def _schemes(op: st.Op) -> list[Scheme]:
    """Every kind of strain for all inputs together, and two kinds for each group of inputs while the others are moderate."""
    names = frozenset(t.name for t in op.floating)
    schemes = [Scheme(kind, draw, names) for kind, draw in KINDS.items()]
    for group in _groups([t.name for t in op.floating]):
        which = ", ".join(sorted(group))
        schemes += [Scheme(f"{which} alone saturated", _saturated, group), Scheme(f"{which} alone of {MIXED}", _mixed, group)]
    return schemes


def strained_points(op: st.Op) -> Strained:
    """Points of every kind of strain, enough of each for ``ELEMENTS`` and ``REPEATS``."""
    sizes = _sizes(op)
    return _drawn(op, _schemes(op), sizes, max(REPEATS, -(-ELEMENTS // _largest(op, sizes))))


def emptied_points(op: st.Op) -> Iterator[Strained]:
    """Points with an empty axis, for each axis; and for each output, points at which all axes but the output's are empty.

    Points at which labels or found positions would index an empty axis are left out, and so are those with lengths at which
    calls are refused: a declared one that is negative, or that others do not let be 0.
    """
    tensors = [*op.inputs, *(st.Tensor(e.name, e.index, e.labels) for e in op.equations)]
    classes = equal_axes(op)
    whole = {c.name: whole_number(c, None) for c in op.constants if c.name in whole_constants(op)}
    roots = list(dict.fromkeys(classes.values()))
    alone = [tuple(r for r in roots if r not in {classes[a] for a in t.axes}) for t in op.outputs]
    for empty in dict.fromkeys([*((r,) for r in roots), *filter(None, alone)]):
        sizes = {axis: 0 if root in empty else LEAST for axis, root in classes.items()}
        sizes = op.declared.completed(sizes, whole, classes)
        if min(sizes.values(), default=0) < 0 or any(sizes[root] for root in empty):
            continue
        grid = Grid(sizes, 1)
        if all(t.indexed is None or grid.length(t.indexed) or not grid.count(t.axes) for t in tensors):
            yield _drawn(op, [Scheme(f"no {', '.join(empty)}", _moderate, frozenset())], sizes, 2)


def _drawn(op: st.Op, schemes: Sequence[Scheme], sizes: Mapping[str, int], repeats: int) -> Strained:
    """``repeats`` points of each scheme."""
    kinds = tuple(scheme.kind for scheme in schemes for _ in range(repeats))
    grid = Grid(sizes, len(kinds))
    tables: dict[str, Table] = {}
    whole = {c.name: whole_number(c, None) for c in op.constants if c.name in whole_constants(op)}
    for t in op.inputs:
        entries: list[float] = []
        for repeat, scheme in enumerate(s for s in schemes for _ in range(repeats)):
            rng = random_of("strain", scheme.kind, repeat, t.name)
            draw = scheme.draw if t.name in scheme.names else _moderate
            for _ in range(grid.count(t.axes)):
                if t.integer:
                    entries.append(float(rng.choice(label_values(op, t, sizes, whole))))
                else:
                    entries.append(_inside(op, t.name, draw(rng), rng))
        tables[t.name] = Table(t.axes, single(np.array(entries)))
    for c in op.constants:
        if c.name in whole:
            tables[c.name] = Table((), np.full(len(kinds), float(whole[c.name])))
            continue
        value = number(Fraction(c.default)) if c.default is not None else _inside(op, c.name, 0.4, Random(0))
        tables[c.name] = Table((), single(np.full(len(kinds), value)))
    for t in op.outputs:
        rng = random_of("strain", st.adjoint_name(t.name))
        tables[st.adjoint_name(t.name)] = Table(
            t.axes, single(np.array([_moderate(rng) for _ in range(grid.count(t.axes) * len(kinds))]))
        )
    return Strained(grid, tables, kinds)


def _sizes(op: st.Op) -> dict[str, int]:
    """The lengths of the axes. Axes that the equations make equal have equal lengths."""
    classes = equal_axes(op)
    place = {root: k for k, root in enumerate(dict.fromkeys(classes.values()))}
    for lengths in SIZES:
        sizes = {axis: lengths[place[root] % 2] for axis, root in classes.items()}
        if _largest(op, sizes) <= LARGEST:
            break
    spans = [{classes[axis] for axis in loop} for loop in loops(op)]
    length = {root: sizes[root] for root in place}
    if any(prod(length[root] for root in span) > LOOP for span in spans):
        shorten(length, spans, list(place), SHORT)
    shallow(length, nests(op), classes, list(place))
    return {axis: length[root] for axis, root in classes.items()}


def _largest(op: st.Op, sizes: Mapping[str, int]) -> int:
    """The number of elements of the largest tensor at one point."""
    grid = Grid(sizes, 1)
    return max(grid.count(index) for index in [*(t.axes for t in op.inputs), *(e.index for e in op.equations)])


def _inside(op: st.Op, name: str, value: float, rng: Random) -> float:
    """A value that meets the op's assumptions about a name: ``value`` itself where there are none."""
    low, high = interval(op, name)
    if any(a.rel == "!=" and a.left == st.Read(name) and a.right == st.Num(Fraction(value)) for a in op.assumptions):
        value += 0.5
    if low is None and high is None:
        return value
    if low is not None and high is not None:
        return number(low) + number(high - low) * rng.choice((1e-3, 0.1, 0.5, 0.9, 0.999))
    size = max(abs(value), 1e-12)
    return number(low) + size if low is not None else number(high or Fraction(0)) - size
