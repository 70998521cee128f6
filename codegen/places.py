"""Templates filled by place: a printed value is escaped for the place where it stands in the source around it.

No template can forget to escape, for escaping is not a template's task. Jinja marks each value that it prints
(:func:`marked`). Then the source is read as its language reads it, and a marked value in a docstring, a comment or a literal is
escaped for that place. In code and in f-strings only :class:`codegen.source.Code`, plain names and numbers may be printed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from codegen.escape import c_comment, c_string, docstring, python_comment, python_string
from codegen.source import Code

__all__ = ["LANGUAGES", "filled", "marked"]

#: Begins a marked value; its kind and its length follow. No template holds this character.
_MARK = "\0"
_VALUE = re.compile(r"\0(c|t)(\d+):")
_NAMES = re.compile(r"(?:\w+(?:\.\w+)*(?:, )?)*", re.ASCII)


@dataclass(frozen=True)
class Place:
    """A part of a source that is not code: the signs that open and close it, and the function that escapes text inside it.

    A ``comment`` is escaped as a whole, so that no closing sign arises where two values meet. In a literal only the values are
    escaped: the template's own part of a literal is source already. Where ``code`` is set, :class:`codegen.source.Code` may be
    printed inside, and is not escaped.
    """

    opening: str
    closing: str
    escape: Callable[[str], str]
    comment: bool = False
    code: bool = False
    inside: re.Pattern[str] = field(init=False)

    def __post_init__(self) -> None:
        skipped = "" if self.comment else r"|\\."
        object.__setattr__(self, "inside", re.compile(f"{_VALUE.pattern}|{re.escape(self.closing)}{skipped}", re.DOTALL))


@dataclass(frozen=True)
class Language:
    """The places of a language by their opening signs. Where one sign begins with another, the longer sign comes first."""

    places: Mapping[str, Place]
    outside: re.Pattern[str]

    @classmethod
    def of(cls, *places: Place) -> Language:
        openings = {p.opening: p for p in places}
        return cls(openings, re.compile("|".join([_VALUE.pattern, *map(re.escape, openings)])))


def _refused(text: str) -> str:
    raise TypeError(f"a template prints text inside an f-string or single quotes: {text!r}")


_PYTHON = Language.of(
    Place('"""', '"""', docstring),
    Place('f"', '"', _refused, code=True),
    Place('"', '"', python_string),
    Place("'", "'", _refused),
    Place("#", "\n", python_comment, comment=True),
)
_C = Language.of(
    Place("/*", "*/", c_comment, comment=True),
    Place("//", "\n", partial(c_comment, lines=False), comment=True),
    Place('"', '"', c_string),
    Place("'", "'", _refused),
)
#: The languages by the endings of files' names.
LANGUAGES = {".py": _PYTHON, ".c": _C, ".h": _C}


def marked(value: object) -> str:
    """What Jinja prints in the place of a value: the value with its length, and whether it is code."""
    text = str(value)
    code = isinstance(value, Code | int | float)
    return f"{_MARK}{'c' if code else 't'}{len(text)}:{text}"


def filled(source: str, language: Language) -> str:
    """A source with each marked value escaped for its place (TypeError for text where code stands)."""
    return _Filling(source, language).text()


class _Filling:
    def __init__(self, source: str, language: Language):
        self.source, self.language, self.at = source, language, 0

    def text(self) -> str:
        out: list[str] = []
        while found := self.next(self.language.outside, out):
            if found[0] in self.language.places:
                out += [found[0], *self.place(self.language.places[found[0]])]
            else:
                out.append(self.code(found))
        return "".join(out)

    def next(self, pattern: re.Pattern[str], out: list[str]) -> re.Match[str] | None:
        """The next match, after which reading goes on; the source before the match is appended to ``out``."""
        found = pattern.search(self.source, self.at)
        out.append(self.source[self.at : found.start() if found else None])
        self.at = found.end() if found else len(self.source)
        return found

    def value(self, found: re.Match[str]) -> str:
        """The value whose mark was found."""
        begin, self.at = self.at, self.at + int(found[2])
        return self.source[begin : self.at]

    def code(self, found: re.Match[str]) -> str:
        value = self.value(found)
        if found[1] == "t" and not _NAMES.fullmatch(value):
            raise TypeError(f"a template prints text where code stands: {value!r}")
        return value

    def place(self, place: Place) -> list[str]:
        """The content of a place and the sign that closes it."""
        out: list[str] = []
        while (found := self.next(place.inside, out)) and found[0] != place.closing:
            if found[1] is None:
                out.append(found[0])
            else:
                value, whole = self.value(found), place.comment or (place.code and found[1] == "c")
                out.append(value if whole else place.escape(value))
        content = place.escape("".join(out)) if place.comment else "".join(out)
        return [content, found[0] if found else ""]
