"""The tables of figures as text."""

from __future__ import annotations

import textwrap

from codegen.columns import columns
from codegen.tools.accuracy.figures import Figures, Table

__all__ = ["table_text"]

#: The width of remarks below a table, in letters.
WIDTH = 120


def table_text(found: Figures) -> str:
    """The figures of one format as text: what was measured, and the tables."""
    first, *notes = found.notes
    return "\n".join([f"{found.form}: {first}", *notes, "", "\n\n".join(map(_columns, found.tables))])


def _columns(table: Table) -> str:
    """A table as text: names are flush left, and a line is below the head."""
    head = (*table.heads, *(text for c in table.columns for text in (c.heading, *c.parts[1:])))
    rows = [head, *((*row.names, *row.figures) for block in table.blocks for row in block)]
    notes = ["", *(w for r in table.remarks for w in textwrap.wrap(f"{r}.", WIDTH))] if table.remarks else []
    return "\n".join([*columns(rows, len(table.heads)), *notes])
