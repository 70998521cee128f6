"""Rows of text in columns."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["columns"]


def columns(rows: Sequence[Sequence[str]], left: int | None = None) -> list[str]:
    """The lines of a table, the first row its head; the first ``left`` columns (default: all) are flush left."""
    widths = [max(len(r[k]) for r in rows) for k in range(len(rows[0]))]
    side = [str.ljust if left is None or k < left else str.rjust for k in range(len(widths))]
    head, *lines = ["  ".join(f(c, w) for f, c, w in zip(side, r, widths, strict=True)).rstrip() for r in rows]
    return [head, "  ".join("-" * w for w in widths), *lines]
