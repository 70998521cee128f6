"""A page as data: a heading and a list of sections, each with the template that lays it out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass


@dataclass(frozen=True)
class Formula:
    """LaTeX mathematics without delimiters; ``display`` sets it in full size on lines of its own."""

    latex: str
    display: bool = True


@dataclass(frozen=True)
class Prose:
    """Plain text in which every second part is code: what stood between double backquotes."""

    parts: tuple[tuple[str, bool], ...]


@dataclass(frozen=True)
class Section:
    """One part of a page. ``content`` is a frozen dataclass, which ``template`` below ``atlas/`` is given as ``content``."""

    anchor: str
    title: str
    template: str
    content: object
    lead: Prose = Prose(())


@dataclass(frozen=True)
class Page:
    """The page of one op. ``formula`` stands for it in the index; ``base`` is the op's name, of a variant that of its op."""

    name: str
    base: str
    title: Prose
    notes: tuple[Prose, ...]
    signature: str
    assumptions: tuple[str, ...]
    source: str
    formula: Formula
    sections: tuple[Section, ...]


def prose(text: str) -> Prose:
    """Text in the manner of a docstring: line ends are blanks, and double backquotes enclose code."""
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
