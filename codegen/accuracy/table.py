"""The tables of figures as text."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from codegen.accuracy.figures import Figures, Table

__all__ = ["table_text"]


def table_text(found: Figures) -> str:
    """What was measured of one format, and its tables."""
    first, *notes = found.notes
    return "\n".join([f"{found.form}: {first}", *notes, "", "\n\n".join(map(_columns, found.tables))])


def _columns(table: Table) -> str:
    """Rows in columns, the names flush left, with a line below the head."""
    head = (*table.heads, *(text for c in table.columns for text in (c.heading, *c.parts[1:])))
    rows = [head, *((*row.names, *row.figures) for block in table.blocks for row in block)]
    widths = [max(len(r[k]) for r in rows) for k in range(len(head))]
    side: list[Callable[[str, int], str]] = [str.ljust if k < len(table.heads) else str.rjust for k in range(len(widths))]
    lines = [_line(r, widths, side) for r in rows]
    return "\n".join([lines[0], "  ".join("-" * w for w in widths), *lines[1:]])


def _line(row: Sequence[str], widths: Sequence[int], side: Sequence[Callable[[str, int], str]]) -> str:
    return "  ".join(f(c, w) for f, c, w in zip(side, row, widths, strict=True)).rstrip()
