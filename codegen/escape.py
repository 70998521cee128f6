r"""Escape an author's text for the place where it is put: one function for each kind of place in each language.

Text is what an author wrote: titles, sources, comments in equations, names of files. In a comment or a docstring, characters
that do not print are spelled out (:func:`derive.visible.visible`), so that no viewer acts on them. In a literal they are
escaped, so that the literal's value is the text. :mod:`derive.show.latex` escapes for LaTeX, and markupsafe for HTML.
"""

from __future__ import annotations

import re

from derive.visible import escaped, visible

__all__ = ["c_comment", "c_string", "code_span", "docstring", "markdown", "python_comment", "python_string"]

#: What an editor or the interpreter may read as the encoding of a file (PEP 263), and what doctest reads as a statement.
_CODING = re.compile(r"coding(?=[:=])")
_DOCTEST = re.compile(r"^(\s*)>>>", re.MULTILINE)
#: Where a comment of C could end, where another could begin, and where a compiler could read a trigraph.
_COMMENT_SIGN = re.compile(r"(?<=\*)(?=/)|(?<=/)(?=\*)|(?<=\?)(?=\?[=/'()!<>-])")
_LAST_BACKSLASH = re.compile(r"\\(?=\s*$)", re.MULTILINE)
#: What Markdown, or a viewer that adds mathematics to it, may act on: signs anywhere, and what begins a list or a heading.
_MARKDOWN = re.compile(r"[\\`*_{}\[\]<>&$~|^@#]")
_BLOCK = re.compile(r"^(?:[-+=]|\d+[.)])", re.MULTILINE)


def docstring(text: str) -> str:
    """The text inside the triple double quotes of Python."""
    shown = _DOCTEST.sub(r"\1> >>", visible(text, lines=True)).replace("\\", r"\\")
    return re.sub(r'"(?="|\Z)', r"\"", shown)


def python_comment(text: str) -> str:
    """The text behind a ``#`` of Python; line ends are spelled out."""
    return _CODING.sub("coding ", visible(text))


def python_string(text: str) -> str:
    """The text inside the double quotes of a Python literal, whose value is the text."""
    return "".join(f"\\{c}" if c in '\\"' else c if c.isprintable() else escaped(c) for c in text)


def c_comment(text: str, *, lines: bool = True) -> str:
    """The text between ``/*`` and ``*/``; without ``lines``, behind ``//``."""
    shown = _COMMENT_SIGN.sub(" ", visible(text, lines=lines))
    # In C a backslash at the end of a line joins the next line to it, in a comment too.
    return _LAST_BACKSLASH.sub(r"\\x5c", shown)


def c_string(text: str) -> str:
    """The text inside the double quotes of a C literal, whose value is the text in UTF-8."""
    plain = re.compile(r"[ !#-\[\]-~]").fullmatch
    octal = (c.encode("utf-8", "surrogatepass") for c in text)
    return "".join(c if plain(c) and c != "?" else "".join(f"\\{b:03o}" for b in o) for c, o in zip(text, octal, strict=True))


def markdown(text: str) -> str:
    """The text in a paragraph of Markdown, without markup, HTML or mathematics; between double backquotes it is code."""
    parts = "\n".join(line.strip() for line in visible(text, lines=True).split("\n")).split("``")
    shown = (code_span(part) if k % 2 else _MARKDOWN.sub(_entity, part) for k, part in enumerate(parts) if part)
    return _BLOCK.sub(_entity, "".join(shown))


def _entity(found: re.Match[str]) -> str:
    """The match with its last character as HTML's entity."""
    return f"{found[0][:-1]}&#{ord(found[0][-1])};"


def code_span(text: str) -> str:
    """The text as code in a line of Markdown, between more backquotes than the text has in a row."""
    shown = visible(text)
    fence = "`" * (1 + max(map(len, re.findall("`+", shown)), default=0))
    pad = " " if shown.startswith("`") or shown.endswith("`") else ""
    return f"{fence}{pad}{shown}{pad}{fence}"
