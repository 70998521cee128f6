"""Sizes, inputs and upstream gradients for a system, from a seed: random, at ties, with axes of length 1 and 0."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from itertools import accumulate
from typing import Any

import numpy as np

from tests.systems.dual import BadPoint
from tests.systems.evaluate import Evaluation, gradients
from tests.systems.language import System, averages_nothing, equal_axes, found_on
from tests.systems.lengths import completed
from tests.systems.packs import open_lengths

Array = np.ndarray[Any, Any]
#: Random values are multiples of this, so that they and sums of few of them are exact in float32.
STEP = 64
#: The largest number of float32.
HELD = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Point:
    """``shapes`` gives the shape that each axis has at run time, of any rank for a starred one.

    ``narrow`` says that float32 holds all that the equations compute, and its derivatives, also what nothing reads: where it
    does not, 0 times an infinity is no number, in every library.
    """

    kind: str
    shapes: dict[str, tuple[int, ...]]
    inputs: dict[str, Array]
    constants: dict[str, float]
    upstream: dict[str, Array]
    outputs: dict[str, tuple[Array, Array]]
    gradients: dict[str, tuple[Array, Array]]
    checked: bool
    packs: dict[str, tuple[int, ...]] = field(default_factory=dict)
    narrow: bool = True

    def shaped(self, name: str, axes: tuple[str, ...], value: Array) -> Array:
        """A value over collapsed axes in the shape that it has at run time."""
        return value.reshape(self.shape(name, axes))

    def shape(self, name: str, axes: tuple[str, ...]) -> tuple[int, ...]:
        """The shape of a tensor at run time; a gradient is packed as its tensor is."""
        widths = self.packs.get(name) or self.packs.get(name.removeprefix("d")) or (1,) * len(axes)
        shape, k = list[int](), 0
        for width in widths:
            lengths = [n for a in axes[k : k + width] for n in self.shapes[a]]
            shape += [math.prod(lengths)] if width > 1 else lengths
            k += width
        return tuple(shape)

    def spelled(self, to: Mapping[str, str]) -> Point:
        """The same under other names of tensors, constants and axes."""

        def named(values: dict[str, Any]) -> dict[str, Any]:
            return {to.get(name, name): value for name, value in values.items()}

        parts = {f.name: named(v) if isinstance(v := getattr(self, f.name), dict) else v for f in fields(self)}
        return Point(**parts)


def points(system: System, seed: int, attempts: int = 12) -> list[Point]:
    """Up to four points: random, at ties, with axes of length 1, and with an empty axis."""
    found = []
    for number, kind in enumerate(("random", "ties", "ones", "empty")):
        for attempt in range(attempts if kind != "empty" else 1):
            rng = np.random.default_rng([seed, number, attempt])
            try:
                found.append(_point(system, kind, rng))
                break
            except BadPoint:
                continue
    return found


def _point(system: System, kind: str, rng: np.random.Generator) -> Point:
    constants = {name: _constant(system, name, default, kind, rng) for name, default in system.constants.items()}
    shapes = _shapes(system, kind, constants, rng)
    lengths = {a: int(math.prod(s)) for a, s in shapes.items()}
    if _open(system, lengths):
        raise BadPoint("an empty axis leaves the lengths of those that it is packed with open")
    if any(axis and not lengths[axis] for axis in (found_on(rhs) for _, rhs in system.equations)):
        raise BadPoint("a position on an empty axis")
    inputs = {}
    for t in system.inputs.values():
        shape: list[int] = [lengths[a] for a in t.axes]
        if t.name in system.labels:
            if not lengths[system.labels[t.name]] and 0 not in shape:
                raise BadPoint("no label is in range")
            inputs[t.name] = np.asarray(rng.integers(0, max(lengths[system.labels[t.name]], 1), shape))
        else:
            inputs[t.name] = _values(system, t.name, tuple(shape), kind, rng)
    upstream = {
        t.name: np.asarray(np.round(rng.normal(size=[lengths[a] for a in t.axes]) * STEP) / STEP) for t in system.outputs
    }
    evaluation = Evaluation(system, lengths, inputs, constants)
    try:
        if kind == "empty" and averages_nothing(system, {a for a, n in lengths.items() if not n}):
            raise BadPoint("a mean of nothing")
        evaluation.run()
    except BadPoint:
        if kind != "empty":
            raise
        return Point(kind, shapes, inputs, constants, upstream, {}, {}, False, system.packs.widths)
    outputs = {}
    for t in system.outputs:
        table = evaluation.values[t.name]
        value = np.array([y.value for y in table.flat]).reshape(table.shape)
        outputs[t.name] = (value, np.array([y.size for y in table.flat]).reshape(table.shape))
    grads, narrow = gradients(evaluation, upstream), evaluation.reach <= HELD
    return Point(kind, shapes, inputs, constants, upstream, outputs, grads, True, system.packs.widths, narrow)


def _shapes(system: System, kind: str, constants: Mapping[str, float], rng: np.random.Generator) -> dict[str, tuple[int, ...]]:
    root = equal_axes(system)
    starred = {root[s] for s in system.stars if s in root}
    groups = sorted(set(root.values()))
    high = 4 if len(groups) <= 4 else 3
    shape: dict[str, tuple[int, ...]] = {}
    held = {root[a]: (n,) for a, n in system.packs.lengths.items()}
    for g in groups:
        if g in starred:
            rank = int(rng.integers(0, 4))
            shape[g] = tuple(int(rng.integers(1, 4)) for _ in range(rank))
        else:
            shape[g] = (int(rng.integers(2, high + 1)),)
    if groups and kind in ("ones", "empty"):
        length = 1 if kind == "ones" else 0
        for g in rng.permutation(groups)[: 1 if kind == "empty" else 2]:
            shape[str(g)] = (length,)
    found = {a: held.get(g, shape[g]) for a, g in root.items()}
    return completed(system, root, found, constants) if system.lengths else found


def _open(system: System, lengths: dict[str, int]) -> bool:
    """Whether the shapes of the inputs leave a length open."""
    root = equal_axes(system)
    slots: list[tuple[str, ...]] = []
    for t in system.inputs.values():
        ends = list(accumulate(system.packs.widths.get(t.name, (1,) * len(t.axes))))
        slots += [tuple(root[a] for a in t.axes[start:end]) for start, end in zip([0, *ends], ends, strict=False)]
    of = {root[a]: n for a, n in lengths.items()}
    known = (root[a] for a in (*system.packs.lengths, *system.lengths))
    return open_lengths(slots, known, of)


def _values(system: System, name: str, shape: tuple[int, ...], kind: str, rng: np.random.Generator) -> Array:
    low, high = _range(system, name)
    if kind == "ties":
        grid = [v for v in (-1.0, -0.5, 0.0, 0.5, 1.0, 2.0) if low < v < high] or [(low + high) / 2]
        return np.asarray(rng.choice(grid, shape))
    if low == -math.inf and high == math.inf:
        values = rng.normal(size=shape) * rng.uniform(0.5, 1.5) + rng.normal() * 0.5
    elif high == math.inf:
        values = low + 0.1 + np.abs(rng.normal(size=shape))
    elif low == -math.inf:
        values = high - 0.1 - np.abs(rng.normal(size=shape))
    else:
        return np.asarray(
            rng.uniform(low + 0.05 * (high - low), high - 0.05 * (high - low), shape).astype(np.float32).astype(float)
        )
    values = np.round(values * STEP) / STEP
    return np.asarray(np.clip(values, low + 1 / STEP, high - 1 / STEP))


def _constant(system: System, name: str, default: float, kind: str, rng: np.random.Generator) -> float:
    """The default, or sometimes another number that the assumptions allow."""
    if kind != "ones" or name in system.packs.counts:
        return default
    if name in system.whole:
        return default + int(rng.integers(0, 2))
    low, high = _range(system, name)
    low, high = max(low, default - 1), min(high, default + 1)
    return float(np.float32(rng.uniform(low + 0.1 * (high - low), high - 0.1 * (high - low))))


def _range(system: System, name: str) -> tuple[float, float]:
    low, high = -math.inf, math.inf
    for rel, bound in system.bounds.get(name, ()):
        if rel[0] == ">":
            low = max(low, bound)
        elif rel[0] == "<":
            high = min(high, bound)
    return low, high
