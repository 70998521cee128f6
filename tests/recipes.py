"""The recipes of ``codegen/README.md``: what each adds, changes and runs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "codegen/README.md").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Recipe:
    """``files`` by their paths, a ``diff`` to apply, and the ``commands`` that then work."""

    name: str
    files: dict[str, str]
    diff: str
    commands: tuple[str, ...]


def _recipe(text: str) -> Recipe:
    blocks = re.findall(r"^```([^\n]*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    files = {kind.split()[1]: body for kind, body in blocks if len(kind.split()) == 2}
    diff = "".join(body for kind, body in blocks if kind == "diff")
    commands = [line for kind, body in blocks if kind == "sh" for line in body.splitlines()]
    assert len(blocks) == len(files) + text.count("```diff\n") + text.count("```sh\n")
    return Recipe(text.partition("\n")[0], files, diff, tuple(commands))


RECIPES = {r.name: r for r in map(_recipe, TEXT.partition("## Recipes")[2].split("\n### ")[1:])}
