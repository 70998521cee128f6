r"""Text for the place where it stands: one function for each place of each language that a text may come to.

Text is what an author wrote: titles, sources, comments in equations, names of files. In a comment or a docstring its characters
that do not print are spelled out (:func:`derive.visible.visible`), so that not even a viewer acts on them; in a literal they
are escaped, so that its value is the text. LaTeX has its function in :mod:`derive.show.latex`; HTML is markupsafe's.
"""

from __future__ import annotations

import re

from derive.visible import escaped, visible

__all__ = ["c_comment", "c_string", "code_span", "docstring", "markdown", "python_comment", "python_string"]

#: What an editor or the interpreter may take for the encoding of a file (PEP 263), and doctest for a statement.
_CODING = re.compile(r"coding(?=[:=])")
_DOCTEST = re.compile(r"^(\s*)>>>", re.MULTILINE)
#: Where a comment of C could end or another begin, and where its compiler could read a trigraph.
_COMMENT_SIGN = re.compile(r"(?<=\*)(?=/)|(?<=/)(?=\*)|(?<=\?)(?=\?[=/'()!<>-])")
_LAST_BACKSLASH = re.compile(r"\\(?=\s*$)", re.MULTILINE)
#: What Markdown, or a viewer that adds mathematics to it, may act on: signs anywhere, and what begins a list or a heading.
_MARKDOWN = re.compile(r"[\\`*_{}\[\]<>&$~|^@#]")
_BLOCK = re.compile(r"^(?:[-+=]|\d+[.)])", re.MULTILINE)


def docstring(text: str) -> str:
    """Inside the triple double quotes of Python."""
    shown = _DOCTEST.sub(r"\1> >>", visible(text, lines=True)).replace("\\", r"\\")
    return re.sub(r'"(?="|\Z)', r"\"", shown)


def python_comment(text: str) -> str:
    """Behind a ``#``; line ends are spelled out."""
    return _CODING.sub("coding ", visible(text))


def python_string(text: str) -> str:
    """Inside the double quotes of a Python literal whose value is the text."""
    return "".join(f"\\{c}" if c in '\\"' else c if c.isprintable() else escaped(c) for c in text)


def c_comment(text: str, *, lines: bool = True) -> str:
    """Inside ``/*`` and ``*/``, or without ``lines`` behind ``//``."""
    shown = _COMMENT_SIGN.sub(" ", visible(text, lines=lines))
    # A line that ends in a backslash takes the next one with it, whatever that is.
    return _LAST_BACKSLASH.sub(r"\\x5c", shown)


def c_string(text: str) -> str:
    """Inside the double quotes of a C literal whose value is the text in UTF-8."""
    plain = re.compile(r"[ !#-\[\]-~]").fullmatch
    octal = (c.encode("utf-8", "surrogatepass") for c in text)
    return "".join(c if plain(c) and c != "?" else "".join(f"\\{b:03o}" for b in o) for c, o in zip(text, octal, strict=True))


def markdown(text: str) -> str:
    """In a paragraph of Markdown: no markup, no HTML, no mathematics; what stands between double backquotes is code."""
    parts = "\n".join(line.strip() for line in visible(text, lines=True).split("\n")).split("``")
    shown = (code_span(part) if k % 2 else _MARKDOWN.sub(_entity, part) for k, part in enumerate(parts) if part)
    return _BLOCK.sub(_entity, "".join(shown))


def _entity(found: re.Match[str]) -> str:
    """The match with its last character as HTML's entity."""
    return f"{found[0][:-1]}&#{ord(found[0][-1])};"


def code_span(text: str) -> str:
    """As code in a line of Markdown, between more backquotes than the text has in one run."""
    shown = visible(text)
    fence = "`" * (1 + max(map(len, re.findall("`+", shown)), default=0))
    pad = " " if shown.startswith("`") or shown.endswith("`") else ""
    return f"{fence}{pad}{shown}{pad}{fence}"
