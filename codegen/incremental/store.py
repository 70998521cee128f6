"""Results of earlier runs, a file each, outside of what is checked in.

A result that is torn, edited or of another key is as good as none: it is made again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from codegen.backends.backend import Files
from codegen.build import Row
from codegen.write import write_files

__all__ = ["Made", "Store"]


@dataclass(frozen=True)
class Made:
    """A part of what is generated: formatted files by path below ``generated/``, and an op's row of the table."""

    name: str
    files: Files
    row: Row | None = None


class Store:
    """A folder of results, each under the key of what it was made from."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, name: str, key: str) -> Made | None:
        """What was made under that key; None where there is no whole result of it."""
        try:
            digest, _, text = (self.folder / f"{name}.json").read_text(encoding="utf-8").partition("\n")
            if digest != _digest(key, text):
                return None
            found = json.loads(text)
            row = found["row"]
            return Made(name, found["files"], Row(**row | {"gradients": tuple(row["gradients"])}) if row else None)
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def put(self, made: Made, key: str) -> None:
        """Keep a result in place of what was kept under its name."""
        text = json.dumps({"files": made.files, "row": asdict(made.row) if made.row else None})
        write_files({f"{made.name}.json": f"{_digest(key, text)}\n{text}"}, self.folder)

    def keep_only(self, names: Iterable[str]) -> None:
        """Forget every other result."""
        kept = {f"{name}.json" for name in names}
        for path in self.folder.glob("*.json"):
            if path.name not in kept:
                path.unlink()


def _digest(key: str, text: str) -> str:
    return hashlib.sha256(f"{key}\n{text}".encode()).hexdigest()
