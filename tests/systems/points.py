"""Sizes, inputs and upstream gradients for a system, from a seed: random, at ties, with axes of length 1 and 0."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from tests.systems.dual import BadPoint
from tests.systems.evaluate import Evaluation, gradients
from tests.systems.language import System, averages_nothing, equal_axes

Array = np.ndarray[Any, Any]
#: Random values are multiples of this, so that they and sums of few of them are exact in float32.
STEP = 64


@dataclass(frozen=True)
class Point:
    """``shapes`` gives the shape that each axis has at run time, of any rank for a starred one."""

    kind: str
    shapes: dict[str, tuple[int, ...]]
    inputs: dict[str, Array]
    constants: dict[str, float]
    upstream: dict[str, Array]
    outputs: dict[str, tuple[Array, Array]]
    gradients: dict[str, tuple[Array, Array]]
    checked: bool

    def shaped(self, name: str, axes: tuple[str, ...], value: Array) -> Array:
        """A value over collapsed axes in the shape that it has at run time."""
        return value.reshape([n for a in axes for n in self.shapes[a]])

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
    shapes = _shapes(system, kind, rng)
    lengths = {a: int(math.prod(s)) for a, s in shapes.items()}
    inputs = {}
    for t in system.inputs.values():
        shape: list[int] = [lengths[a] for a in t.axes]
        if t.name in system.labels:
            if not lengths[system.labels[t.name]] and 0 not in shape:
                raise BadPoint("no label is in range")
            inputs[t.name] = np.asarray(rng.integers(0, max(lengths[system.labels[t.name]], 1), shape))
        else:
            inputs[t.name] = _values(system, t.name, tuple(shape), kind, rng)
    constants = {name: _constant(system, name, default, kind, rng) for name, default in system.constants.items()}
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
        return Point(kind, shapes, inputs, constants, upstream, {}, {}, False)
    outputs = {}
    for t in system.outputs:
        table = evaluation.values[t.name]
        value = np.array([y.value for y in table.flat]).reshape(table.shape)
        outputs[t.name] = (value, np.array([y.size for y in table.flat]).reshape(table.shape))
    return Point(kind, shapes, inputs, constants, upstream, outputs, gradients(evaluation, upstream), True)


def _shapes(system: System, kind: str, rng: np.random.Generator) -> dict[str, tuple[int, ...]]:
    root = equal_axes(system)
    starred = {root[s] for s in system.stars if s in root}
    groups = sorted(set(root.values()))
    high = 4 if len(groups) <= 4 else 3
    shape: dict[str, tuple[int, ...]] = {}
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
    return {a: shape[g] for a, g in root.items()}


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
    if kind != "ones":
        return default
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
