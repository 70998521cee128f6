"""The tables of figures as text."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence

from codegen.tools.accuracy.figures import Figures, Table

__all__ = ["table_text"]

#: Of the remarks below a table.
WIDTH = 120


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
    notes = ["", *(w for r in table.remarks for w in textwrap.wrap(f"{r}.", WIDTH))] if table.remarks else []
    return "\n".join([lines[0], "  ".join("-" * w for w in widths), *lines[1:], *notes])


def _line(row: Sequence[str], widths: Sequence[int], side: Sequence[Callable[[str, int], str]]) -> str:
    return "  ".join(f(c, w) for f, c, w in zip(side, row, widths, strict=True)).rstrip()
