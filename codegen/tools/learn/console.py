"""The terminal of a session: lines of at most a hundred columns, colour where a terminal shows it, a pipe as well."""

from __future__ import annotations

import contextlib
import os
import sys
import textwrap
from collections.abc import Iterable

__all__ = ["WIDTH", "Console"]

WIDTH = 100
STYLES = {"title": "1", "right": "32", "wrong": "31", "quiet": "2"}


class Console:
    """Prints paragraphs and code, and asks for lines. A pipe sees what was typed, as a terminal does."""

    def __init__(self) -> None:
        self.terminal = sys.stdin.isatty()
        self.colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        if self.terminal:
            with contextlib.suppress(ImportError):
                import readline  # noqa: F401  # gives input() a history, and keys to edit with

    def say(self, text: str = "", style: str = "", indent: int = 0) -> None:
        """Print a text. Each of its lines is a paragraph, which is wrapped."""
        for line in text.split("\n"):
            own = len(line) - len(line.lstrip(" ")) + indent
            self._print(_wrapped(line.strip(" "), own, own) or [""], style)

    def show(self, lines: Iterable[str], indent: int = 4) -> None:
        """Print formulas or code. A line that is too long goes on below, further in."""
        for line in lines:
            own = len(line) - len(line.lstrip(" ")) + indent
            self._print(_wrapped(line.strip(" "), own, own + 4) or [""], "")

    def ask(self, prompt: str) -> str:
        """A line of input (EOFError at its end)."""
        sys.stdout.flush()
        line = input(prompt)
        if not self.terminal:
            print(line)
        return line

    def _print(self, lines: Iterable[str], style: str) -> None:
        for line in lines:
            code = STYLES.get(style) if self.colour and line.strip() else None
            print(f"\x1b[{code}m{line}\x1b[0m" if code else line)


def _wrapped(text: str, first: int, rest: int) -> list[str]:
    """The text in lines of at most ``WIDTH`` columns, broken at spaces, within a word only where it is too long."""
    if first + len(text) <= WIDTH:
        return [" " * first + text] if text else []
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=" " * first,
        subsequent_indent=" " * rest,
        break_on_hyphens=False,
        replace_whitespace=False,
        drop_whitespace=True,
    )
