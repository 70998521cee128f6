"""Layered layout of a graph: a name stands above the names that read it.

An edge that spans several layers is led through points of its own in these layers, so that it passes between boxes and not
behind them. A layer is ordered by the mean place of each box' neighbours; of all orders tried, the order with fewest crossings
is kept. A box has a vertical axis, at which its edges end. The axis is placed at a median of the neighbours' axes, so that
chains are straight and edges short.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

__all__ = ["Box", "Layout", "Sides", "lay_out"]

#: The gap between neighbouring boxes, and the width of the lane for an edge that passes through a layer.
GAP, LANE = 26.0, 22.0
SWEEPS = 12

Edge = tuple[str, str]
#: How far a box extends to the left and to the right of its axis.
Sides = tuple[float, float]
#: A box, by its name, or a point of a long edge.
Item = str | tuple[str, str, int]


@dataclass(frozen=True)
class Box:
    """The place of one vertex: where its axis is, and the number of its layer."""

    x: float
    layer: int


@dataclass(frozen=True)
class Layout:
    """``bends`` are the x of each edge in the layers that it passes through, from its upper end to its lower end."""

    boxes: Mapping[str, Box]
    bends: Mapping[Edge, tuple[float, ...]]
    width: float
    layers: int


def lay_out(boxes: Mapping[str, Sides], edges: Iterable[Edge]) -> Layout:
    """Places for boxes. In the order of ``boxes`` every edge must point forward (ValueError where one does not)."""
    place = {name: k for k, name in enumerate(boxes)}
    edges = sorted(set(edges), key=lambda e: (place[e[0]], place[e[1]]))
    if wrong := [f"{a} -> {b}" for a, b in edges if place[a] >= place[b]]:
        raise ValueError(f"the edge {wrong[0]} points backward in the order of the names")
    layer = _layers(list(boxes), edges)
    passed: dict[Edge, list[Item]] = {(a, b): [(a, b, k) for k in range(layer[a] + 1, layer[b])] for a, b in edges}
    links = [link for (a, b), points in passed.items() for link in pairwise([a, *points, b])]
    rows: list[list[Item]] = [[] for _ in range(max(layer.values(), default=-1) + 1)]
    for name in boxes:
        rows[layer[name]].append(name)
    for a, b in edges:
        for k, point in enumerate(passed[a, b], layer[a] + 1):
            rows[k].append(point)
    sides: dict[Item, Sides] = {point: (LANE / 2, LANE / 2) for points in passed.values() for point in points}
    sides.update((name, side) for name, side in boxes.items())
    x = _placed(_ordered(rows, links), sides, links)
    left = min((x[i] - sides[i][0] for i in x), default=0.0)
    right = max((x[i] + sides[i][1] for i in x), default=0.0)
    return Layout(
        {n: Box(round(x[n] - left, 1), layer[n]) for n in boxes},
        {e: tuple(round(x[p] - left, 1) for p in points) for e, points in passed.items()},
        round(right - left, 1),
        len(rows),
    )


# ---- layers ---------------------------------------------------------------------------------------------------------------


def _layers(names: Sequence[str], edges: Sequence[Edge]) -> dict[str, int]:
    """The layer of each name: below all names that it reads. A name that reads none stands directly above its first reader."""
    layer = dict.fromkeys(names, 0)
    for name in names:
        layer[name] = max((layer[a] + 1 for a, b in edges if b == name), default=0)
    read = {a for a, _ in edges}
    for name in names:
        if name in read and all(b != name for _, b in edges):
            layer[name] = min(layer[b] for a, b in edges if a == name) - 1
    return layer


# ---- order ----------------------------------------------------------------------------------------------------------------


def _ordered(rows: list[list[Item]], links: Sequence[tuple[Item, Item]]) -> list[list[Item]]:
    above, below = _neighbours(links)
    best, fewest = rows, _crossings(rows, below)
    for sweep in range(2 * SWEEPS):
        down = sweep % 2 == 0
        rows = [list(row) for row in rows]
        order = range(1, len(rows)) if down else range(len(rows) - 2, -1, -1)
        for k in order:
            fixed = {item: n for n, item in enumerate(rows[k - 1 if down else k + 1])}
            near = above if down else below
            own = {item: n for n, item in enumerate(rows[k])}
            rows[k].sort(key=lambda i, near=near, fixed=fixed, own=own: _mean([fixed[j] for j in near.get(i, ())], own[i]))  # type: ignore[misc]
        if (crossings := _crossings(rows, below)) < fewest:
            best, fewest = rows, crossings
    return best


def _neighbours(links: Iterable[tuple[Item, Item]]) -> tuple[dict[Item, list[Item]], dict[Item, list[Item]]]:
    above: dict[Item, list[Item]] = {}
    below: dict[Item, list[Item]] = {}
    for a, b in links:
        above.setdefault(b, []).append(a)
        below.setdefault(a, []).append(b)
    return above, below


def _crossings(rows: Sequence[Sequence[Item]], below: Mapping[Item, Sequence[Item]]) -> int:
    count = 0
    for upper, lower in zip(rows, rows[1:], strict=False):
        at = {item: n for n, item in enumerate(lower)}
        ends = [sorted(at[j] for j in below.get(i, ())) for i in upper]
        flat = [n for end in ends for n in end]
        count += sum(a > b for k, a in enumerate(flat) for b in flat[k + 1 :])
    return count


# ---- coordinates ----------------------------------------------------------------------------------------------------------


def _placed(
    rows: Sequence[Sequence[Item]], sides: Mapping[Item, Sides], links: Sequence[tuple[Item, Item]]
) -> dict[Item, float]:
    above, below = _neighbours(links)
    x = dict.fromkeys(sides, 0.0)
    best, shortest = x, float("inf")
    # Boxes are aligned with the neighbours above and with those below in turn, then with both.
    for sweep in range(4 * SWEEPS):
        down = sweep % 2 == 0
        beside = (above if down else below,) if sweep < 2 * SWEEPS else (above, below)
        for row in rows if down else reversed(rows):
            wanted = [_middle([x[j] for near in beside for j in near.get(i, ())], x[i]) for i in row]
            x |= zip(row, _spread(wanted, [sides[i] for i in row]), strict=True)
        if (length := sum(abs(x[a] - x[b]) for a, b in links)) < shortest:
            best, shortest = dict(x), length
    return best


def _spread(wanted: Sequence[float], sides: Sequence[Sides]) -> list[float]:
    """The places of boxes, in this order and without overlap, that are nearest to the wanted places by least squares.

    After subtracting the widths to the left of each box, places must not decrease: this is isotonic regression, which is solved
    by pooling adjacent violators.
    """
    offsets = [0.0]
    for (_, right), (left, _) in pairwise(sides):
        offsets.append(offsets[-1] + right + GAP + left)
    pools: list[tuple[float, int]] = []
    for at, offset in zip(wanted, offsets, strict=False):
        total, count = at - offset, 1
        while pools and pools[-1][0] / pools[-1][1] > total / count:
            total, count = total + pools[-1][0], count + pools[-1][1]
            pools.pop()
        pools.append((total, count))
    level = [total / count for total, count in pools for _ in range(count)]
    return [at + offset for at, offset in zip(level, offsets, strict=False)]


def _mean(numbers: Sequence[float], otherwise: float) -> float:
    return sum(numbers) / len(numbers) if numbers else otherwise


def _middle(numbers: Sequence[float], now: float) -> float:
    """The median nearest to ``now``: of an even number of places, all places between the middle two are medians."""
    ordered = sorted(numbers)
    return min(max(now, ordered[(len(ordered) - 1) // 2]), ordered[len(ordered) // 2]) if ordered else now
