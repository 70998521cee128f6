"""The error of an elementwise op over its range as inline SVG, which takes its colours from the page around it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from codegen.tools.accuracy import svg
from codegen.tools.accuracy.measure import Range

__all__ = ["plot"]

#: In pixels: the height of the plot itself, and the room around it.
HEIGHT, LEFT, RIGHT, BELOW = 216, 46, 20, 38
#: The axis of x is linear below 2**NEAR and logarithmic up to 2**FAR; each of COLUMNS columns shows its largest error.
NEAR, FAR, COLUMNS = -4, 12, 180


def plot(found: Range, name: str, labels: Sequence[str], reference: str = "") -> str:
    """The largest errors in ULP of one quantity for some implementations, in a symmetric-log axis of x.

    The op has one input. Inputs beyond 4096 count for the outermost columns. The reference, if it is one of the labels, is
    drawn as an area below the curves. Raises ValueError for a label or a quantity that was not measured.
    """
    (x,) = found.sweep.inputs.values()
    series = {e.label: _columns(x, e.ulps) for e in found.errors if e.name == name}
    if missing := [label for label in labels if label not in series]:
        raise ValueError(f"no errors of '{name}' by '{missing[0]}'; known: {', '.join(series) or 'none of that name'}")
    end, above = svg.top([series[label] for label in labels]), svg.legend_height(len(labels), LEFT)
    styles = svg.styles(labels, reference)
    areas = [_area(series[label], above, end, styles[label].colour) for label in labels if label == reference]
    curves = [_curve(series[label], above, end, style.stroke) for label, style in styles.items() if label != reference]
    key = svg.legend(styles, '<path d="M{x} {y}h22" {stroke}/>', LEFT)
    body = [*key, *areas, *_axes(above, end), *reversed(curves)]
    return svg.figure(f"Error of {name} in ULP, {found.sweep.form.name}", above + HEIGHT + BELOW, body)


def _fold(x: np.ndarray) -> np.ndarray:
    """The positions of numbers on the symmetric-log axis, from -1 to 1."""
    size = np.minimum(np.abs(x), 2.0**FAR)
    steps = np.where(size < 2.0**NEAR, size / 2.0**NEAR, 1 + np.log2(np.maximum(size, 2.0**NEAR)) - NEAR)
    return np.asarray(np.sign(x) * steps / (1 + FAR - NEAR))


def _columns(x: np.ndarray, ulps: np.ndarray) -> np.ndarray:
    """The largest error in each column, nan where there is none."""
    seen = ~np.isnan(ulps)
    column = np.minimum((_fold(x[seen]) + 1) / 2 * COLUMNS, COLUMNS - 1).astype(int)
    largest = np.full(COLUMNS, -np.inf)
    np.maximum.at(largest, column, ulps[seen])
    return np.where(largest < 0, np.nan, largest)


def _across(place: float) -> float:
    return round(LEFT + (place + 1) / 2 * (svg.WIDTH - LEFT - RIGHT), 1)


def _up(share: float, above: int) -> float:
    return round(above + HEIGHT * (1 - share), 1)


def _curve(largest: np.ndarray, above: int, end: int, style: str) -> str:
    return f'<polyline points="{" ".join(_points(largest, above, end))}" stroke-linejoin="round" {style}/>'


def _area(largest: np.ndarray, above: int, end: int, colour: str) -> str:
    points, low = _points(largest, above, end), above + HEIGHT
    if not points:
        return ""
    corners = [f"{points[0].partition(',')[0]},{low}", *points, f"{points[-1].partition(',')[0]},{low}"]
    return f'<polygon points="{" ".join(corners)}" fill="{colour}" fill-opacity="0.35"/>'


def _points(largest: np.ndarray, above: int, end: int) -> list[str]:
    places = 2 * (np.arange(COLUMNS) + 0.5) / COLUMNS - 1
    known = [(p, svg.share(e, end)) for p, e in zip(places, largest, strict=True) if not np.isnan(e)]
    return [f"{_across(p):g},{_up(s, above):g}" for p, s in known]


def _axes(above: int, end: int) -> list[str]:
    """The frame, a grid of powers of ten, and ticks below."""
    low, right = above + HEIGHT, svg.WIDTH - RIGHT
    numbers = sorted([s * 2.0**k for k in range(NEAR + 4, FAR + 1, 4) for s in (-1, 1)] + [0.0])
    across = [(_across(float(_fold(np.asarray(n)))), f"{n:g}") for n in numbers]
    up = [(_up(share, above), label) for share, label in svg.marks(end)]
    lines = [f"M{LEFT} {above}H{right}V{low}H{LEFT}Z", *(f"M{x:g} {low}v5" for x, _ in across)]
    lines += [f"M{LEFT} {y:g}H{right}" for y, _ in up]
    below = [*((x, low + 18, label) for x, label in across), (_across(0), low + 33, "x")]
    return [svg.rules(lines), svg.texts("middle", below), svg.texts("end", [(LEFT - 6, y + 4, label) for y, label in up])]
