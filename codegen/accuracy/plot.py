"""The error of an elementwise op over its range as inline SVG, which takes its colours from the page around it."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

from codegen.accuracy.measure import Range

__all__ = ["plot"]

#: The drawing's size in pixels and the room around its axes.
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 640, 280, 52, 12, 30, 34
#: The range of x: linear below 2**NEAR, logarithmic up to 2**FAR; and how many columns show the largest error in each.
NEAR, FAR, COLUMNS = -4, 12, 240
#: Errors below this are drawn at it.
FLOOR = 0.1
#: A page may set the variables; the ink of its text stands in for them.
STROKES = ("var(--accent, currentColor)", "var(--number, currentColor)", "var(--string, currentColor)", "currentColor")
DASHES = ("none", "6 3", "2 3", "9 3 2 3")


def plot(found: Range, name: str, labels: Sequence[str]) -> str:
    """The largest errors in ULP of one quantity for some implementations, over |x| up to 4096 in a symmetric-log axis.

    The op has one input. ValueError for a label or a quantity that was not measured.
    """
    (x,) = found.sweep.inputs.values()
    series = {e.label: _columns(x, e.ulps) for e in found.errors if e.name == name}
    if missing := [label for label in labels if label not in series]:
        raise ValueError(f"no errors of '{name}' by '{missing[0]}'; known: {', '.join(series) or 'none of that name'}")
    top = _top([series[label] for label in labels])
    title = f"Error of {name} in ULP, {found.sweep.form.name}"
    body = [_frame(), *_x_axis(), *_y_axis(top)]
    for k, label in enumerate(labels):
        style = f'stroke="{STROKES[k % len(STROKES)]}" stroke-dasharray="{DASHES[k % len(DASHES)]}"'
        body += [_curve(series[label], top, style), *_legend(k, label, style)]
    head = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}" fill="none" font-size="12">'
    return "\n".join([head, f"<title>{escape(title)}</title>", *body, "</svg>"])


def _fold(x: np.ndarray) -> np.ndarray:
    """Numbers on the symmetric-log axis, from -1 to 1."""
    size = np.minimum(np.abs(x), 2.0**FAR)
    steps = np.where(size < 2.0**NEAR, size / 2.0**NEAR, 1 + np.log2(np.maximum(size, 2.0**NEAR)) - NEAR)
    return np.asarray(np.sign(x) * steps / (1 + FAR - NEAR))


def _columns(x: np.ndarray, ulps: np.ndarray) -> np.ndarray:
    """The largest error in each column, nan where there is none."""
    seen = (np.abs(x) <= 2.0**FAR) & ~np.isnan(ulps)
    column = np.minimum((_fold(x[seen]) + 1) / 2 * COLUMNS, COLUMNS - 1).astype(int)
    largest = np.full(COLUMNS, -np.inf)
    np.maximum.at(largest, column, ulps[seen])
    return np.where(largest < 0, np.nan, largest)


def _top(series: Sequence[np.ndarray]) -> int:
    """The power of ten at which the y axis ends."""
    finite = [float(s[np.isfinite(s)].max(initial=1.0)) for s in series]
    return max(1, int(np.ceil(np.log10(max(finite)))) + 1)


def _across(place: float) -> float:
    return round(LEFT + (place + 1) / 2 * (WIDTH - LEFT - RIGHT), 1)


def _up(error: float, top: int) -> float:
    low = np.log10(FLOOR)
    share = (np.log10(min(max(error, FLOOR), 10.0**top)) - low) / (top - low)
    return round(float(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)), 1)


def _curve(largest: np.ndarray, top: int, style: str) -> str:
    places = 2 * (np.arange(COLUMNS) + 0.5) / COLUMNS - 1
    points = [f"{_across(p)},{_up(e, top)}" for p, e in zip(places, largest, strict=True) if not np.isnan(e)]
    return f'<polyline points="{" ".join(points)}" stroke-width="1.4" stroke-linejoin="round" {style}/>'


def _frame() -> str:
    width, height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    return f'<rect x="{LEFT}" y="{TOP}" width="{width}" height="{height}" stroke="var(--line, currentColor)"/>'


def _x_axis() -> list[str]:
    marks = [s * 2.0**k for k in range(NEAR + 4, FAR + 1, 4) for s in (-1, 1)] + [0.0]
    texts = [_text(_across(float(_fold(np.asarray(m)))), HEIGHT - BOTTOM + 16, f"{m:g}", "middle") for m in sorted(marks)]
    return [*texts, _text(WIDTH - RIGHT, HEIGHT - 4, "x", "end")]


def _y_axis(top: int) -> list[str]:
    powers = range(0, top + 1, max(1, top // 4))
    lines = [f'<path d="M{LEFT} {_up(10.0**k, top)}H{WIDTH - RIGHT}" stroke="var(--line, currentColor)"/>' for k in powers]
    return [*lines, *(_text(LEFT - 6, _up(10.0**k, top) + 4, "1" if k == 0 else f"1e{k}", "end") for k in powers)]


def _legend(k: int, label: str, style: str) -> list[str]:
    x = LEFT + 140 * k
    return [f'<path d="M{x} 15h24" stroke-width="1.4" {style}/>', _text(x + 30, 19, label, "start")]


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x}" y="{y}" fill="currentColor" text-anchor="{anchor}">{escape(text)}</text>'
