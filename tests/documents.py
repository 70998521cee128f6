"""The documents for readers: their blocks in the order of reading."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

__all__ = ["DOCUMENTS", "FILES", "ROOT", "Block", "blocks", "shown"]

ROOT = Path(__file__).resolve().parent.parent
#: What other tests read: recipes, an engine in 250 lines, and pages with no command.
ELSEWHERE = {"codegen/README.md", "derive/README.md", ".github/CONTRIBUTING.md", "generated/bench/table.md"}
DOCUMENTS = tuple(
    sorted(
        path
        for folder in (ROOT, ROOT / ".github", *(ROOT / name for name in ("derive", "codegen", "generated", "tests")))
        for file in (folder.glob("*.md") if folder in (ROOT, ROOT / ".github") else folder.rglob("*.md"))
        if (path := file.relative_to(ROOT).as_posix()) not in ELSEWHERE
    )
)


@dataclass(frozen=True)
class Block:
    """A block of a document: its kind, what stands beside the kind, and its text."""

    kind: str
    about: str
    text: str


def blocks(document: str) -> list[Block]:
    """The blocks of a document. Commands that are shown are a block each."""
    text = (ROOT / document).read_text(encoding="utf-8")
    found = []
    for match in re.finditer(r"^```([^\n]*)\n(.*?)^```$", text, re.M | re.S):
        kind, _, about = match[1].strip().partition(" ")
        found.append(Block(kind, about, match[2]))
    return found


def shown(kind: str, document: str) -> list[Block]:
    """The blocks of a kind."""
    return [block for block in blocks(document) if block.kind == kind]


#: The files that documents say to write. One name is one file, whichever document a reader has open.
FILES = {block.about: block.text for document in DOCUMENTS for block in shown("file", document)}
