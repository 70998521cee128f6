"""The pieces of inline SVG that the plots share. The colours come from the page around them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

__all__ = ["FLOOR", "WIDTH", "Style", "figure", "legend", "legend_height", "marks", "rules", "share", "styles", "texts", "top"]

#: In pixels: the drawing's width, and the entries of a legend.
WIDTH, ENTRY, LINE = 720, 150, 20
#: Errors below this are drawn at this height.
FLOOR = 0.1
#: A page may set the variables; without them the colour of its text is used.
COLOURS = tuple(f"var(--{name}, currentColor)" for name in ("accent", "number", "string", "keyword"))
REFERENCE, BAND = "var(--edge, currentColor)", 9.0
DASHES = ("none", "4 3", "1.5 3", "8 3 1.5 3")


@dataclass(frozen=True)
class Style:
    """How one implementation is drawn. Variants have the colour of their kernel; ``variant`` counts them from 1."""

    colour: str
    variant: int
    width: float

    @property
    def stroke(self) -> str:
        """Attributes of a line."""
        return f'stroke="{self.colour}" stroke-width="{self.width:g}" stroke-dasharray="{DASHES[self.variant % len(DASHES)]}"'

    @property
    def fill(self) -> str:
        """Attributes of a dot, which is hollow for a variant."""
        return f'fill="var(--paper, Canvas)" stroke="{self.colour}"' if self.variant else f'fill="{self.colour}"'


def styles(labels: Sequence[str], reference: str = "") -> dict[str, Style]:
    """A style for each label. A variant has its kernel's label with its own name behind it; the reference is grey."""
    own = {label: next((other for other in labels if label.startswith(f"{other} ")), label) for label in labels}
    order = list(dict.fromkeys(own.values()))
    found: dict[str, Style] = {}
    for label in labels:
        k, before = order.index(own[label]), sum(own[other] == own[label] for other in found)
        # A curve that lies below another is wider, so that both are seen where they coincide.
        plain = Style(COLOURS[k % len(COLOURS)], before, round(1.2 + 0.8 * k, 1))
        found[label] = Style(REFERENCE, 0, BAND) if label == reference else plain
    return found


def figure(title: str, height: float, body: Iterable[str]) -> str:
    """The whole drawing; ``title`` says in words what it shows."""
    head = f'<svg viewBox="0 0 {WIDTH} {height:g}" role="img" aria-label="{escape(title)}" fill="none" font-size="12">'
    return "\n".join([head, f"<title>{escape(title)}</title>", *body, "</svg>"])


def legend(series: dict[str, Style], mark: str, left: int) -> list[str]:
    """Rows of entries at the top; ``mark`` is a template of what stands before a label."""
    per_row = (WIDTH - left) // ENTRY
    places = [(left + k % per_row * ENTRY, 12 + k // per_row * LINE) for k in range(len(series))]
    marks = [mark.format(x=x, y=y, stroke=s.stroke, fill=s.fill) for (x, y), s in zip(places, series.values(), strict=True)]
    return [*marks, texts("start", [(x + 30, y + 4, label) for (x, y), label in zip(places, series, strict=True)])]


def legend_height(count: int, left: int) -> int:
    """The height of a legend of so many entries, with the room below it."""
    per_row = (WIDTH - left) // ENTRY
    return -(-count // per_row) * LINE + 12


def top(errors: Iterable[np.ndarray]) -> int:
    """The power of ten at which an axis of errors ends. Infinite errors are drawn there, apart from all finite errors."""
    every = np.concatenate([e.ravel() for e in errors])
    finite = int(np.ceil(np.log10(every[np.isfinite(every)].max(initial=1.0))))
    return max(1, finite + int(np.isinf(every).any()))


def share(error: float, end: int) -> float:
    """The place of an error on a logarithmic axis, from 0 to 1."""
    return _share(float(np.log10(max(error, FLOOR))), end)


def marks(end: int) -> list[tuple[float, str]]:
    """The places of powers of ten on the axis of errors, with labels; the first is the beginning of the axis."""
    powers = range(0, end + 1, max(1, end // 4))
    return [(0.0, f"≤ {FLOOR:g}"), *((_share(k, end), "1" if k == 0 else f"1e{k}") for k in powers)]


def _share(power: float, end: int) -> float:
    low = float(np.log10(FLOOR))
    return (min(power, end) - low) / (end - low)


def rules(paths: Iterable[str]) -> str:
    """Lines of the frame and the grid."""
    return f'<path d="{"".join(paths)}" stroke="var(--line, currentColor)"/>'


def texts(anchor: str, placed: Iterable[tuple[float, float, str]]) -> str:
    """Words at their places."""
    each = "".join(f'<text x="{x:g}" y="{y:g}">{escape(words)}</text>' for x, y, words in placed)
    return f'<g fill="var(--soft, currentColor)" text-anchor="{anchor}">{each}</g>'
