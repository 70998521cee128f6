"""The sources of an op's kernels, a tab each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from codegen.tools.atlas.highlight import Piece, highlight
from codegen.tools.atlas.page import Section, prose

__all__ = ["Source", "Sources", "sources_section"]

#: What a tab is called, the file it shows, the language that it is in, and what is in the first line that matters most.
TABS = (
    ("NumPy", "numpy/{op}.py", "python", "def {op}_forward("),
    ("torch", "torch/{op}.py", "python", "def {op}_forward("),
    ("native C", "native/{op}.c", "c", "NAME({op}_forward)("),
)


@dataclass(frozen=True)
class Source:
    """One tab: ``key`` tells it from the others, ``lines`` is the length of the file.

    ``head`` and ``body`` together are the file; it is first shown from where the body begins.
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
    tabs = tuple(
        _source(title, path.format(op=op), files, language, first.format(op=op)) for title, path, language, first in TABS
    )
    return Section(
        "source", "Source", "sources.html.j2", Sources(tabs), prose("Each file needs its own backend and nothing else.")
    )


def _source(title: str, path: str, files: Mapping[str, str], language: str, first: str) -> Source:
    text = files[path]
    at = text.rfind("\n", 0, text.index(first)) + 1
    head, body = highlight(text[:at], language), highlight(text[at:], language)
    return Source(path.partition("/")[0], title, f"generated/{path}", text.count("\n"), head, body)
