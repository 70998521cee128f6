"""The tables of figures as text."""

from __future__ import annotations

import textwrap

from codegen.columns import columns
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
    notes = ["", *(w for r in table.remarks for w in textwrap.wrap(f"{r}.", WIDTH))] if table.remarks else []
    return "\n".join([*columns(rows, len(table.heads)), *notes])
