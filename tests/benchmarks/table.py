"""Tables as text and as Markdown."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from . import jaxed
from .bars import Reached
from .machine import Machine
from .once import Once
from .regimes import REGIMES
from .sides import AUTOGRAD, COMPILED, JAX, SIDES
from .timing import Measurement, Timing


@dataclass(frozen=True)
class Table:
    """Rows of text under a header; ``notes`` are lines below."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()


def tables(measurements: Sequence[Measurement], once: Once | None, bars: Sequence[Reached]) -> list[Table]:
    """A table for each case, one for what was timed once, and at the end the bars."""
    found = [_case([m for m in measurements if m.title == title]) for title in dict.fromkeys(m.title for m in measurements)]
    if once is not None:
        found += list(_once(once))
    rows = tuple((b.what, b.regime, b.reached, b.asked, "short" if b.short else "") for b in bars)
    return [*found, Table("Bars", ("what", "pages", "reached", "asked", ""), rows)] if rows else found


def as_text(machine: Machine, loads: Sequence[str], found: Sequence[Table]) -> str:
    """For a terminal."""
    width = max(len(name) for name, _ in (*machine.facts, ("load", "")))
    lines = [f"{name:{width}}  {value}" for name, value in (*machine.facts, ("load", _loads(loads)))]
    for table in found:
        lines += ["", table.title, *_columns(table), *table.notes]
    return "\n".join(lines) + "\n"


def as_markdown(machine: Machine, loads: Sequence[str], found: Sequence[Table]) -> str:
    """For a page: the bars first, and the plot beside this file."""
    lines = [
        "# Benchmarks",
        "",
        "Written by `make bench-save`; float32, medians. Output pages are `kept` where they were mapped before the call, and",
        "`fresh` where the call maps them; both sides of a ratio are in the same regime.",
        "",
        "![Speed beside torch](speed.svg)",
    ]
    lines += ["", "| machine | |", "|---|---|", *(f"| {n} | {v} |" for n, v in (*machine.facts, ("load", _loads(loads))))]
    for table in (*found[-1:], *found[:-1]):
        right = ["---" if k == 0 else "---:" for k in range(len(table.header))]
        rows = [f"| {' | '.join(row)} |" for row in (table.header, *table.rows)]
        lines += ["", f"## {table.title}", "", rows[0], f"|{'|'.join(right)}|", *rows[1:]]
        if table.notes:
            lines += ["", "  \n".join(table.notes)]
    return "\n".join(lines) + "\n"


def _loads(loads: Sequence[str]) -> str:
    return f"of the system over 1, 5 and 15 minutes, before and after: {'; '.join(loads)}"


# ---- a case --------------------------------------------------------------------------------------------------------------


def _case(measured: Sequence[Measurement]) -> Table:
    """The sides of a case, a group of columns for each regime."""
    regimes = [m for r in REGIMES for m in measured if m.regime == r]
    heading = ("time", "spread", "x torch", "x floor", "faults")
    header = ("", *(f"{m.regime} {h}" if h == "time" else h for m in regimes for h in heading))
    names = [s for s in SIDES if any(t.side == s for m in regimes for t in m.timings)]
    timed = [n for n in names if any(m.of(n).seconds for m in regimes)]
    rows = [(n, *(cell for m in regimes for cell in _cells(m, m.of(n)))) for n in timed]
    return Table(regimes[0].title, header, tuple(rows), tuple(_notes(regimes, names)))


def _cells(m: Measurement, timing: Timing) -> Iterator[str]:
    if not timing.seconds:
        yield from ("-",) * 5
        return
    yield _time(timing.median)
    yield "" if math.isnan(timing.spread) else f"{timing.spread:.0%}"
    yield f"{m.ratio(timing.side, AUTOGRAD):.2f}"
    yield "" if math.isnan(timing.floor_ratio) else f"{timing.floor_ratio:.2f}"
    yield str(timing.faults)


def _notes(regimes: Sequence[Measurement], names: Sequence[str]) -> Iterator[str]:
    for m in regimes:
        if m.floor:
            speed = m.bytes / m.floor / 1e9
            yield f"floor, {m.regime}: {m.bytes / 1e6:.1f} MB in {_time(m.floor)}, {speed:.0f} GB/s"
    for m in regimes:
        for t in m.timings:
            if t.problem:
                yield f"{t.side}, {m.regime}: not timed: {t.problem}"
    if COMPILED in names:
        longest = max(m.of(COMPILED).started for m in regimes)
        yield f"torch.compile: {longest:.1f} s until its first result"
    else:
        yield "torch.compile: left out in a hurry, or once its time to compile was up"
    if JAX not in names:
        yield f"JAX: {'left out, or not written down for this op' if jaxed.installed() else 'not installed'}"


def _time(seconds: float) -> str:
    """With three digits."""
    unit, scale = next(((u, s) for u, s in (("s", 1.0), ("ms", 1e-3)) if seconds >= s), ("us", 1e-6))
    value = seconds / scale
    return f"{value:.{max(0, 2 - int(math.log10(value)) if value >= 1 else 2)}f} {unit}"


# ---- once ----------------------------------------------------------------------------------------------------------------


def _once(once: Once) -> Iterator[Table]:
    if once.sources:
        rows = tuple((n, str(count), f"{s:.2f} s", f"{s / max(count, 1):.2f} s") for n, count, s in once.sources)
        whole = "not compiled in a hurry" if once.catalogue is None else f"{once.catalogue:.1f} s in both precisions"
        yield Table("Compiling, float32", ("source", "kernels", "source", "a kernel"), rows, (f"whole catalogue: {whole}",))
    if once.kernel is not None and once.into is not None and once.call is not None:
        calls = tuple(
            (n, f"{t * 1e6:.2f} us", f"{(t - once.kernel) * 1e6:.2f} us")
            for n, t in (("the kernel alone", once.kernel), ("with out=", once.into), ("results allocated", once.call))
        )
        yield Table("Calling batchnorm backward, 32x64", ("", "time", "beyond the kernel"), calls)
    if once.derivations:
        yield Table("Deriving", ("op", "time"), tuple((n, _time(s)) for n, s in once.derivations))


def _columns(table: Table) -> Iterator[str]:
    """Lines in columns as wide as they need be, all but the first set to the right."""
    widths = [max(map(len, column)) for column in zip(table.header, *table.rows, strict=True)]
    for row in (table.header, *table.rows):
        cells = [f"{c:<{w}}" if k == 0 else f"{c:>{w}}" for k, (c, w) in enumerate(zip(row, widths, strict=True))]
        yield "  ".join(cells).rstrip()
