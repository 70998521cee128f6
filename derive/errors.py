"""The one exception of the language and the engine: what was wrong, where, what was expected."""

from __future__ import annotations

from derive.visible import visible


class OpError(ValueError):
    """An operation that cannot be understood or derived.

    The message starts with the op's name. Where the line is known, the line and the column follow, both counted from 1. The
    argument ``column`` is counted from 0.
    """

    def __init__(self, message: str, *, op: str = "?", line: int | None = None, column: int | None = None):
        place = op if line is None else f"{op}, line {line}, column {(column or 0) + 1}"
        super().__init__(visible(f"{place}: {message}", lines=True))
        self.op, self.line, self.column = op, line, column
