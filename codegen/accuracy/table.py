"""The errors as tables of text."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from codegen.accuracy.measure import Errors, Range, Sampled

__all__ = ["near_roots", "range_table", "sampled_table"]

#: A root's neighbourhood reaches this far, relative to the root.
REACH = 1 / 16


def range_table(found: Range) -> str:
    """An elementwise op: a row for each quantity and implementation."""
    head = ("", "by", "largest", "at", "99.9 %", "near roots, of terms")
    rows = [_range_row(found, e) for e in found.errors]
    order = list(found.sweep.exact)
    rows = [row for name in order for row, e in zip(rows, found.errors, strict=True) if e.name == name]
    count = len(next(iter(found.sweep.inputs.values())))
    roots = [f"{n} at {_root(r)}" for n, r in ((n, r) for n in order for r in found.sweep.roots.get(n, ())) if r]
    notes = [f"{found.sweep.form.name}: {count} inputs over the whole finite range, upstream gradients of 1"]
    notes += [f"roots: {', '.join(roots)}"] if roots else []
    notes += _undetermined(found.errors)
    return "\n".join([*notes, "", _columns([head, *rows], left=2)])


def _range_row(found: Range, e: Errors) -> tuple[str, ...]:
    known = np.flatnonzero(~np.isnan(e.ulps))
    if not known.size:
        return (e.name, e.label, "-", "-", "-", "-")
    worst = known[int(np.argmax(e.ulps[known]))]
    where = ", ".join(f"{n}={_place(v[worst])}" for n, v in found.sweep.inputs.items()) if e.ulps[worst] else "-"
    near = e.of_terms[near_roots(found, e.name)]
    beside = _figure(float(np.nanmax(near))) if near.size else "-"
    high = float(np.percentile(e.ulps[known], 99.9, method="higher"))
    return (e.name, e.label, _figure(float(e.ulps[worst])), where, _figure(high), beside)


def near_roots(found: Range, name: str) -> np.ndarray:
    """Which inputs are next to a root, other than 0, of a quantity."""
    x = next(iter(found.sweep.inputs.values()))
    near = np.zeros(x.shape, dtype=bool)
    for root in found.sweep.roots.get(name, ()):
        near |= np.abs(x / 2 - root / 2) < abs(root) * (REACH / 2)  # halves, which do not overflow
    return near


def sampled_table(found: Sequence[Sampled]) -> str:
    """An op with reductions, in one format: for each quantity a row for each kind, two columns for each implementation."""
    labels = list(dict.fromkeys(e.label for e in found[0].errors))
    names = list(dict.fromkeys(e.name for e in found[0].errors))
    notes = [f"{found[0].form.name}: largest error at each kind of input, of the sum of absolute terms | of the entry"]
    notes += _undetermined([e for s in found for e in s.errors])
    tables = [_kinds_table(name, labels, found) for name in names]
    return "\n".join([*notes, "", "\n\n".join(tables)])


def _kinds_table(name: str, labels: Sequence[str], found: Sequence[Sampled]) -> str:
    head = (name, *(c for label in labels for c in (label, "entry")))
    rows = [(s.kind.name, *(c for label in labels for c in _pair(s, label, name))) for s in found]
    return _columns([head, *rows], left=1)


def _pair(sampled: Sampled, label: str, name: str) -> tuple[str, str]:
    e = next(e for e in sampled.errors if e.label == label and e.name == name)
    return _largest(e.of_terms), _largest(e.ulps)


def _largest(values: np.ndarray) -> str:
    known = values[~np.isnan(values)]
    return _figure(float(known.max())) if known.size else "-"


def _undetermined(errors: Sequence[Errors]) -> list[str]:
    """Errors are nan where the exact value is not known, the same entries for every implementation."""
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


def _columns(rows: Sequence[Sequence[str]], left: int) -> str:
    """Rows in columns, the first ``left`` of them flush left, with a line below the head."""
    widths = [max(len(r[k]) for r in rows) for k in range(len(rows[0]))]
    side: list[Callable[[str, int], str]] = [str.ljust if k < left else str.rjust for k in range(len(widths))]
    lines = ["  ".join(f(c, w) for f, c, w in zip(side, r, widths, strict=True)).rstrip() for r in rows]
    return "\n".join([lines[0], "  ".join("-" * w for w in widths), *lines[1:]])
