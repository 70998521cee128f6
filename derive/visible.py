"""Text made visible: characters that a terminal, an editor or a compiler would act on are shown as escapes."""

from __future__ import annotations

import re

__all__ = ["escaped", "lines_of", "visible"]

#: The line ends of the language's grammar. Other separators (form feed, U+2028) are characters within a line.
_LINE_END = re.compile(r"\r\n|\r|\n")


def visible(text: str, *, lines: bool = False) -> str:
    r"""The text with an escape for each character that is not printable: ``\x1b``, ``\u202e``, ``\ud800`` (a lone surrogate).

    Controls, separators and marks that reorder or hide text are not printable. A tab becomes four blanks. Line ends become
    ``\n``, escaped unless ``lines`` is set.
    """
    shown = _LINE_END.sub("\n", text).replace("\t", "    ")
    if shown.isprintable():
        return shown
    return "".join(c if c.isprintable() or (lines and c == "\n") else escaped(c) for c in shown)


def escaped(character: str) -> str:
    r"""The escape of a character in Python's notation: ``\n``, ``\x1b``, ``\u2028``."""
    return character.encode("unicode_escape").decode("ascii")


def lines_of(text: str) -> tuple[str, ...]:
    """The lines of a text in the language, without blank lines at its start and end."""
    return tuple(_LINE_END.sub("\n", text).strip().split("\n")) if text.strip() else ()
