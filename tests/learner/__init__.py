"""A learner in a guided session: what is typed is decided by what was printed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from codegen.tools.learn import Session
from codegen.tools.learn.console import WIDTH, Console
from codegen.tools.workbook import exercise, sheet
from derive import syntax as st

__all__ = ["Typing", "played"]

#: What a learner types at a prompt, given all that was printed so far; None at the end of input.
Typing = Callable[[str, list[str]], str | None]


class Watched(Console):
    """A console whose input is a function of its output."""

    def __init__(self, typing: Typing):
        self.terminal = self.colour = False
        self.typing, self.lines = typing, list[str]()

    def _print(self, lines: object, style: str) -> None:
        assert isinstance(lines, list)
        assert all(len(line) <= WIDTH for line in lines), lines
        self.lines += lines

    def ask(self, prompt: str) -> str:
        typed = self.typing(prompt, self.lines)
        if typed is None:
            raise EOFError
        self.lines.append(f"{prompt}{typed}")
        return typed


def played(op: st.Op, file: Path, typing: Typing, backend: str = "numpy", seconds: float = 20) -> str:
    """Play one session, and return all that it printed."""
    made = exercise(op, backend)
    if not file.exists():
        file.write_text(sheet(made, file.name))
    console = Watched(typing)
    assert Session(made, file, "again", "check", seconds, console).run() == 0
    return "\n".join(console.lines)


def lines(*typed: str) -> Typing:
    """Type these lines, whatever is printed."""
    waiting = list(typed)

    def typing(prompt: str, printed: list[str]) -> str | None:
        return waiting.pop(0) if waiting else None

    return typing
