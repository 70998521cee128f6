"""Text made visible: what no terminal, editor or compiler may act on is spelled out."""

from __future__ import annotations

import re

__all__ = ["escaped", "lines_of", "visible"]

#: Where the language's own grammar ends a line; other separators (form feed, U+2028) are characters within one.
_LINE_END = re.compile(r"\r\n|\r|\n")


def visible(text: str, *, lines: bool = False) -> str:
    r"""The text with each character that does not print as its escape: ``\x1b``, ``\u202e``, a lone surrogate's ``\ud800``.

    Controls, separators and marks that reorder or hide text are such. Line ends are among them unless ``lines`` keeps them, as
    ``\n``; a tab is four blanks.
    """
    shown = _LINE_END.sub("\n", text).replace("\t", "    ")
    if shown.isprintable():
        return shown
    return "".join(c if c.isprintable() or (lines and c == "\n") else escaped(c) for c in shown)


def escaped(character: str) -> str:
    r"""A character as Python escapes it: ``\n``, ``\x1b``, ``\u2028``."""
    return character.encode("unicode_escape").decode("ascii")


def lines_of(text: str) -> tuple[str, ...]:
    """The lines of a text in the language, without blank ones at its ends."""
    return tuple(_LINE_END.sub("\n", text).strip().split("\n")) if text.strip() else ()
