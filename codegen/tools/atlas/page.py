"""A page as data: a heading and a list of sections, each with the template that lays it out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

from codegen.tools.atlas.learning import Lesson


@dataclass(frozen=True)
class Formula:
    """LaTeX mathematics without delimiters; ``display`` sets it in full size on lines of its own.

    ``source`` is what a reader copies, where that is not ``latex`` itself: without marks, and with a left side.
    """

    latex: str
    display: bool = True
    source: str = field(default="", compare=False)


@dataclass(frozen=True)
class Prose:
    """Plain text in parts; a part is code where it stood between double backquotes."""

    parts: tuple[tuple[str, bool], ...]


@dataclass(frozen=True)
class Data:
    """Plain data for a script of the page: what JSON can hold."""

    value: Mapping[str, Any] = field(hash=False)


@dataclass(frozen=True)
class Section:
    """One part of a page. ``content`` is a frozen dataclass, which is given to the template ``template`` of the atlas."""

    anchor: str
    title: str
    template: str
    content: object
    lead: Prose = Prose(())


@dataclass(frozen=True)
class Page:
    """The page of one op or variant. ``formula`` represents it in the index; ``base`` is the name of the op.

    ``group`` is the kind of op that it is, ``entry`` what the search knows of it.
    """

    name: str
    base: str
    title: Prose
    notes: tuple[Prose, ...]
    signature: str
    assumptions: tuple[str, ...]
    source: str
    formula: Formula
    sections: tuple[Section, ...]
    group: str
    entry: Data
    lesson: Lesson


def prose(text: str) -> Prose:
    """A docstring's text as prose: line ends become blanks, and double backquotes enclose code."""
    parts = " ".join(text.split()).split("``")
    return Prose(tuple((part, k % 2 == 1) for k, part in enumerate(parts) if part))


def formulas(content: object) -> Iterator[Formula]:
    """Every formula in a dataclass, its fields and the tuples among them, in order."""
    if isinstance(content, Formula):
        yield content
    elif isinstance(content, tuple):
        for part in content:
            yield from formulas(part)
    elif is_dataclass(content):
        for field in fields(content):
            yield from formulas(getattr(content, field.name))
