"""The errors of an op with reductions at each kind of input as inline SVG, which takes its colours from the page around it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from codegen.tools.accuracy import svg
from codegen.tools.accuracy.measure import Errors, Sampled

__all__ = ["kinds_plot"]

#: In pixels: the room around the plot, and how far the dots of one kind are apart.
LEFT, RIGHT, BELOW, APART = 130, 20, 24, 6
RADIUS = 3.2


def kinds_plot(found: Sequence[Sampled], name: str, labels: Sequence[str], reference: str = "") -> str:
    """A row for each kind, a dot for each implementation: the largest error of one quantity in ULP of the sum of its terms.

    The reference, if it is one of the labels, is grey. ValueError for a label or a quantity that was not measured.
    """
    series = [{e.label: e for e in s.errors if e.name == name} for s in found]
    if missing := [label for label in labels if label not in series[0]]:
        raise ValueError(f"no errors of '{name}' by '{missing[0]}'; known: {', '.join(series[0]) or 'none of that name'}")
    end = svg.top([e.of_terms for s in series for e in s.values()])
    above, room = svg.legend_height(len(labels), LEFT), APART * (len(labels) + 2)
    styles = svg.styles(labels, reference)
    key = svg.legend(styles, f'<g transform="translate(20)"><circle cx="{{x}}" cy="{{y}}" r="{RADIUS}" {{fill}}/></g>', LEFT)
    bottom = above + room * len(found)
    rows = [(above + room * k, s.kind.name) for k, s in enumerate(found)]
    body = [*key, *_axis(above, bottom, end), svg.rules(f"M{LEFT} {y}H{svg.WIDTH - RIGHT}" for y, _ in rows)]
    body.append(svg.texts("end", [(LEFT - 10, y + room / 2 + 4, kind) for y, kind in rows]))
    for j, (label, style) in enumerate(styles.items()):
        dots = [_dot(errors[label], above + room * k + APART * (j + 1.5), end) for k, errors in enumerate(series)]
        body.append(f"<g {style.fill}>{''.join(dots)}</g>")
    return svg.figure(f"Error of {name} in ULP of its terms, {found[0].form.name}", bottom + BELOW, body)


def _dot(e: Errors, y: float, end: int) -> str:
    known = e.of_terms[~np.isnan(e.of_terms)]
    if not known.size:
        return ""
    return f'<circle cx="{_across(svg.share(float(known.max()), end)):g}" cy="{y:g}" r="{RADIUS}"/>'


def _across(share: float) -> float:
    return round(LEFT + share * (svg.WIDTH - LEFT - RIGHT), 1)


def _axis(above: int, bottom: int, end: int) -> list[str]:
    """A grid of powers of ten in a frame, with their labels below."""
    places = [(_across(share), label) for share, label in svg.marks(end)]
    lines = [f"M{LEFT} {above}H{svg.WIDTH - RIGHT}V{bottom}H{LEFT}Z", *(f"M{x:g} {above}V{bottom}" for x, _ in places)]
    return [svg.rules(lines), svg.texts("middle", [(x, bottom + 18, label) for x, label in places])]
