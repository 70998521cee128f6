"""Write generated files: all or nothing, and only what changed."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from pathlib import Path

from codegen.backends.discovery import discovered

#: What ``make derive`` owns below ``generated/`` beside the backends' folders: folders replaced whole, and single files.
OWNED_FOLDERS = ("flow", "latex", "certificates")
OWNED_FILES = ("makemore.py", "makemore_flow.py", "makemore_gradients.py")


def owned(root: Path) -> set[str]:
    """The paths below ``root`` that lie in the owned folders or are owned files."""
    found = {f for f in OWNED_FILES if (root / f).is_file()}
    for folder in (*discovered(), *OWNED_FOLDERS):
        for path in sorted((root / folder).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                found.add(path.relative_to(root).as_posix())
    return found


def write_owned(files: Mapping[str, str], root: Path) -> tuple[int, int]:
    """Make the owned folders hold exactly these files; returns the numbers of files written and removed."""
    orphans = owned(root) - files.keys()
    written = write_files(files, root)
    for orphan in sorted(orphans):
        (root / orphan).unlink()
    return written, len(orphans)


def write_files(files: Mapping[str, str] | Mapping[str, bytes], root: Path) -> int:
    """Write the files that differ, each by an atomic rename; returns how many."""
    written = 0
    for name, content in files.items():
        path, data = root / name, content.encode() if isinstance(content, str) else content
        if path.is_file() and path.read_bytes() == data:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.partial")
        partial.write_bytes(data)
        os.replace(partial, path)
        written += 1
    return written


def case_twin(files: Mapping[str, str], root: Path) -> Path | None:
    """A file below ``root`` whose path differs from one of these only by case: where case is ignored, both are one file."""
    for name in files:
        path = root / name
        for there in path.parent.iterdir() if path.parent.is_dir() else ():
            if there.name != path.name and there.name.casefold() == path.name.casefold():
                return there
    return None


def differences(files: Mapping[str, str], root: Path) -> tuple[str, int]:
    """A unified diff from what is there to what would be written, and the number of files that differ."""
    lines: list[str] = []
    changed = 0
    for name in sorted(files.keys() | owned(root)):
        path = root / name
        there = path.read_bytes().decode() if path.is_file() else ""
        wanted = files.get(name, "")
        if there == wanted and path.is_file() == (name in files):
            continue
        changed += 1
        note = " (orphan: nothing generates it)" if name not in files else ""
        lines += difflib.unified_diff(
            there.splitlines(), wanted.splitlines(), f"generated/{name}{note}", "as generated now", lineterm=""
        )
    return "\n".join(lines), changed
