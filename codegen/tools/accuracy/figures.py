"""The errors as tables of data, from which both text and pages are made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from codegen.tools.accuracy.measure import Errors, Range, Sampled
from codegen.tools.accuracy.remarks import remarks

__all__ = ["Column", "Figures", "Row", "Table", "near_roots", "range_figures", "sampled_figures"]

#: The radius of a root's neighbourhood, relative to the root.
REACH = 1 / 16


@dataclass(frozen=True)
class Row:
    """The names that say what a row is about, and the row's figures."""

    names: tuple[str, ...]
    figures: tuple[str, ...]


@dataclass(frozen=True)
class Column:
    """The heading of one figure, or of several figures with the headings ``parts``."""

    heading: str
    parts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """Headings of a row's names, columns of its figures, and rows in blocks that belong together.

    ``about`` is the quantity of all rows, "" where each row names its own. ``remarks`` give the reasons where torch is closer.
    """

    about: str
    heads: tuple[str, ...]
    columns: tuple[Column, ...]
    blocks: tuple[tuple[Row, ...], ...]
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Figures:
    """The figures of one format: sentences on what was measured, and the tables."""

    form: str
    notes: tuple[str, ...]
    tables: tuple[Table, ...]


def range_figures(found: Range) -> Figures:
    """An elementwise op: a row for each quantity and implementation, a block for each quantity."""
    order = list(found.sweep.exact)
    count = len(next(iter(found.sweep.inputs.values())))
    roots = [f"{n} at {_root(r)}" for n, r in ((n, r) for n in order for r in found.sweep.roots.get(n, ())) if r]
    notes = [f"{count} inputs over the whole finite range, upstream gradients of 1"]
    notes += [f"roots: {', '.join(roots)}"] if roots else []
    blocks = tuple(tuple(_range_row(found, e) for e in found.errors if e.name == name) for name in order)
    columns = tuple(map(Column, ("largest", "at", "99.9 %", "near roots, of terms")))
    why = remarks(((name, [e for e in found.errors if e.name == name]) for name in order), sums=False)
    table = Table("", ("", "by"), columns, blocks, why)
    return Figures(found.sweep.form.name, (*notes, *_undetermined(found.errors)), (table,))


def _range_row(found: Range, e: Errors) -> Row:
    names, known = (e.name, e.label), np.flatnonzero(~np.isnan(e.ulps))
    if not known.size:
        return Row(names, ("-", "-", "-", "-"))
    worst = known[int(np.argmax(e.ulps[known]))]
    where = ", ".join(f"{n}={_place(v[worst])}" for n, v in found.sweep.inputs.items()) if e.ulps[worst] else "-"
    near = e.of_terms[near_roots(found, e.name)]
    beside = _figure(float(np.nanmax(near))) if near.size else "-"
    high = float(np.percentile(e.ulps[known], 99.9, method="higher"))
    return Row(names, (_figure(float(e.ulps[worst])), where, _figure(high), beside))


def near_roots(found: Range, name: str) -> np.ndarray:
    """A mask of the inputs that are near a root, other than 0, of a quantity."""
    x = next(iter(found.sweep.inputs.values()))
    near = np.zeros(x.shape, dtype=bool)
    for root in found.sweep.roots.get(name, ()):
        near |= np.abs(x / 2 - root / 2) < abs(root) * (REACH / 2)  # halves, which do not overflow
    return near


def sampled_figures(found: Sequence[Sampled]) -> Figures:
    """An op with reductions, in one format: for each quantity a table of kinds by implementations."""
    labels = list(dict.fromkeys(e.label for e in found[0].errors))
    names = list(dict.fromkeys(e.name for e in found[0].errors))
    notes = ["largest error at each kind of input, of the sum of absolute terms | of the entry"]
    notes += _undetermined([e for s in found for e in s.errors])
    return Figures(found[0].form.name, tuple(notes), tuple(_kinds_table(name, labels, found) for name in names))


def _kinds_table(name: str, labels: Sequence[str], found: Sequence[Sampled]) -> Table:
    columns = tuple(Column(label, ("terms", "entry")) for label in labels)
    rows = tuple(Row((s.kind.name,), tuple(f for label in labels for f in _pair(s, label, name))) for s in found)
    why = remarks((s.kind.name, [e for e in s.errors if e.name == name]) for s in found)
    return Table(name, (name,), columns, (rows,), why)


def _pair(sampled: Sampled, label: str, name: str) -> tuple[str, str]:
    e = next(e for e in sampled.errors if e.label == label and e.name == name)
    return _largest(e.of_terms), _largest(e.ulps)


def _largest(values: np.ndarray) -> str:
    known = values[~np.isnan(values)]
    return _figure(float(known.max())) if known.size else "-"


def _undetermined(errors: Sequence[Errors]) -> list[str]:
    """A note on the entries whose exact value is not known; they are the same for every implementation."""
    first = errors[0].label
    count = sum(int(np.isnan(e.ulps).sum()) for e in errors if e.label == first)
    return [f"{count} exact values could not be determined and are left out"] if count else []


def _figure(value: float) -> str:
    if value == 0 or not np.isfinite(value):
        return f"{value:.0f}"
    return f"{value:.1e}" if value >= 1e4 or value < 5e-3 else f"{value:.0f}" if value >= 100 else f"{value:.2f}"


def _place(value: float) -> str:
    return f"{value:.4g}"


def _root(value: float) -> str:
    return f"{value:.6g}"
