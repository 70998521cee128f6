"""The sources of an op's kernels, one tab for each backend."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from codegen.backends.backend import Shown
from codegen.backends.discovery import discovered
from codegen.tools.atlas.highlight import Piece, highlight
from codegen.tools.atlas.page import Section, prose

__all__ = ["Source", "Sources", "sources_section"]


@dataclass(frozen=True)
class Source:
    """One tab. ``key`` tells it from the others; ``lines`` is the number of lines of the file.

    ``head`` and ``body`` together are the file, which is scrolled to the beginning of ``body`` at first.
    """

    key: str
    title: str
    path: str
    lines: int
    head: tuple[Piece, ...]
    body: tuple[Piece, ...]


@dataclass(frozen=True)
class Sources:
    tabs: tuple[Source, ...]


def sources_section(op: str, files: Mapping[str, str]) -> Section:
    """The section from an op's formatted files (KeyError where one is missing)."""
    tabs = tuple(_source(b.title, b.shown(op), files) for b in discovered().values())
    return Section(
        "source", "Source", "sources.html.j2", Sources(tabs), prose("Each file needs its own backend and nothing else.")
    )


def _source(title: str, shown: Shown, files: Mapping[str, str]) -> Source:
    text = files[shown.path]
    at = text.rfind("\n", 0, text.index(shown.first)) + 1
    head, body = highlight(text[:at], shown.language), highlight(text[at:], shown.language)
    return Source(shown.path.partition("/")[0], title, f"generated/{shown.path}", text.count("\n"), head, body)
