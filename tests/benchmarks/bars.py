"""What the kernels are meant to reach, beside what a run found. Nothing fails on it: times are the machine's, too."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .cases import BACKWARD, BOTH, STEP
from .once import Once
from .sides import AUTOGRAD, DIRECT, IN_PLACE, NATIVE, NUMPY
from .timing import Measurement

FLOOR = "floor"


@dataclass(frozen=True)
class Bar:
    """Times as fast as ``against``, at least ``asked``; against the floor: times as long, at most ``asked``.

    Without ``asked`` the figure is only told.
    """

    op: str
    what: str
    shape: str
    regime: str
    asked: float | None
    against: str = AUTOGRAD
    side: str = NATIVE


@dataclass(frozen=True)
class Reached:
    """A line of the table of bars. ``short`` where a figure is there and misses what is asked."""

    what: str
    regime: str
    reached: str
    asked: str
    short: bool


SQUARE, LARGE, VOCABULARY = "1024x1024", "8192x4096", "4096x32000"
CROSS_ENTROPY = "softmax_cross_entropy"

BARS = (
    Bar("batchnorm", BACKWARD, SQUARE, "kept", 1.8),
    Bar("batchnorm", BACKWARD, SQUARE, "kept", 2.2, FLOOR),
    Bar("batchnorm", BACKWARD, LARGE, "kept", 1.25),
    Bar("batchnorm", BACKWARD, LARGE, "kept", 2.2, FLOOR),
    Bar("batchnorm", BACKWARD, LARGE, "fresh", 3.0),
    Bar("layernorm", BACKWARD, SQUARE, "kept", 1.8),
    Bar("layernorm", BACKWARD, LARGE, "kept", 1.2),
    Bar("rmsnorm", BACKWARD, SQUARE, "kept", 14.0),
    Bar("rmsnorm", BACKWARD, LARGE, "kept", 6.0),
    Bar("tanh", BOTH, SQUARE, "kept", 9.0),
    Bar("gelu", BACKWARD, SQUARE, "kept", 1.4, DIRECT),
    Bar("gelu", BACKWARD, LARGE, "kept", 1.3, FLOOR),
    Bar(CROSS_ENTROPY, BOTH, SQUARE, "kept", 3.5),
    Bar(CROSS_ENTROPY, BOTH, VOCABULARY, "kept", 3.3),
    Bar(CROSS_ENTROPY, BOTH, VOCABULARY, "fresh", 12.0),
    Bar(CROSS_ENTROPY, BOTH, VOCABULARY, "kept", 1.2, FLOOR, IN_PLACE),
    Bar("attention", BOTH, "8 heads of 64, 1024 tokens", "kept", None),
    Bar("mlp", STEP, "batch 32, hidden 200", "kept", 12.0),
    Bar("mlp", STEP, "batch 32, hidden 64", "kept", 20.0),
    Bar("mlp", STEP, "batch 32, hidden 200", "kept", 3.0, side=NUMPY),
)

#: In seconds.
COMPILE, CATALOGUE, OVERHEAD = 0.5, 20.0, 1.5e-6


def compares(op: str, what: str, shape: str, regime: str) -> bool:
    """Whether a bar needs this measurement."""
    return any((b.op, b.what, b.shape, b.regime) == (op, what, shape, regime) for b in BARS)


def reached(measurements: Sequence[Measurement], once: Once | None) -> list[Reached]:
    """The bars of the ops that were measured."""
    found = {(m.op, m.what, m.shape, m.regime): m for m in measurements}
    lines = [_line(bar, found[key]) for bar in BARS if (key := (bar.op, bar.what, bar.shape, bar.regime)) in found]
    return [*lines, *(_once(once) if once else [])]


def _line(bar: Bar, m: Measurement) -> Reached:
    side = bar.side.removeprefix("ours ")
    if bar.against == FLOOR:
        figure = m.of(bar.side).floor_ratio
        short = bar.asked is not None and figure > bar.asked
        asked = "told only" if bar.asked is None else f"at most {bar.asked:g}x the floor"
    else:
        figure = m.ratio(bar.side, bar.against)
        short = bar.asked is not None and figure < bar.asked
        asked = "told only" if bar.asked is None else f"{bar.asked:g}x {bar.against}"
    return Reached(f"{m.title}: {side}", m.regime, "not measured" if math.isnan(figure) else f"{figure:.2f}x", asked, short)


def _once(once: Once) -> Iterator[Reached]:
    if once.sources:
        name, count, seconds = max(once.sources, key=lambda s: s[2] / max(s[1], 1))
        each = seconds / max(count, 1)
        what = f"compiling, the slowest kernel: {name}, {count} kernels in {seconds:.2f} s"
        yield Reached(what, "", f"{each:.2f} s", f"at most {COMPILE:g} s a kernel", each > COMPILE)
    if once.catalogue is not None:
        what = "compiling the whole catalogue, both precisions"
        yield Reached(what, "", f"{once.catalogue:.1f} s", f"at most {CATALOGUE:g} s", once.catalogue > CATALOGUE)
    if once.kernel is not None and once.into is not None:
        beyond = once.into - once.kernel
        what = f"calling batchnorm backward, 32x64, beyond its {once.kernel * 1e6:.2f} us"
        yield Reached(what, "kept", f"{beyond * 1e6:.2f} us", f"at most {OVERHEAD * 1e6:g} us", beyond > OVERHEAD)
