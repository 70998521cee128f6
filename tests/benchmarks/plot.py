"""The ratios as a picture: every side's speed beside torch's autograd, and where the floor is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .regimes import REGIMES
from .sides import AUTOGRAD, COMPILED, DIRECT, JAX, NATIVE, NUMPY, TORCH
from .timing import Measurement

#: Colours and markers that stand out on white and on black.
LOOK = {
    NATIVE: ("#d9480f", "o"),
    NUMPY: ("#1c7ed6", "s"),
    TORCH: ("#2f9e44", "D"),
    DIRECT: ("#868e96", "^"),
    COMPILED: ("#9c36b5", "v"),
    JAX: ("#e8a500", "P"),
}
GREY = "#868e96"


def save(measurements: Sequence[Measurement], path: Path) -> None:
    """Write an SVG: a row for each op and shape, a panel for each regime, the ratio on a logarithmic scale."""
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    titles = list(dict.fromkeys(m.title for m in measurements))[::-1]
    style: dict[Any, Any] = {"svg.hashsalt": "speed", "font.size": 9, "svg.fonttype": "path"}
    style |= dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), GREY)
    with matplotlib.rc_context(style):
        figure, panels = plt.subplots(1, 2, figsize=(11, 1.4 + 0.32 * len(titles)), sharey=True, layout="constrained")
        for panel, regime in zip(panels, REGIMES, strict=True):
            _panel(panel, [m for m in measurements if m.regime == regime], titles)
            panel.set_title(f"output pages {regime}", color=GREY)
            panel.set_xlabel("times as fast as torch autograd")
        panels[0].set_yticks(range(len(titles)), [t.replace("softmax_cross_entropy", "softmax CE") for t in titles])
        labels = {label: handle for p in panels for handle, label in zip(*p.get_legend_handles_labels(), strict=True)}
        figure.legend(labels.values(), labels.keys(), loc="outside lower center", ncols=7, frameon=False)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, transparent=True, metadata={"Date": None})
        plt.close(figure)


def _panel(panel: Any, measurements: Sequence[Measurement], titles: Sequence[str]) -> None:
    panel.set_xscale("log")
    panel.axvline(1, color=GREY, linewidth=1)
    panel.grid(axis="x", color=GREY, alpha=0.25)
    rows = {title: k for k, title in enumerate(titles)}
    for side, (colour, marker) in LOOK.items():
        points = [(r, rows[m.title]) for m in measurements if not math.isnan(r := m.ratio(side, AUTOGRAD))]
        if points:
            panel.scatter(*zip(*points, strict=True), color=colour, marker=marker, s=34, label=side, zorder=3)
    floors = [(m.of(AUTOGRAD).median / m.floor, rows[m.title]) for m in measurements if m.floor and m.of(AUTOGRAD).seconds]
    if floors:
        panel.scatter(*zip(*floors, strict=True), color=GREY, marker="|", s=150, linewidths=2, label="floor", zorder=2)
    # As they are read, and not as powers of ten.
    panel.xaxis.set_major_formatter("{x:g}")
