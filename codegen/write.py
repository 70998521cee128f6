"""Write generated files: all or nothing, and only what changed."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from codegen.backends.discovery import discovered

#: What ``make derive`` owns below ``generated/`` beside the backends' folders: folders replaced whole, and single files.
OWNED_FOLDERS = ("flow", "latex", "certificates")
OWNED_FILES = ("front.svg", "makemore.py", "makemore_flow.py", "makemore_gradients.py")


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
    """Write the files that differ; returns how many.

    Every file is written beside its place first, and all are renamed after that. An error on the way, such as a full disk,
    leaves the files of before, and no other; it is raised again.
    """
    data = {root / name: content.encode() if isinstance(content, str) else content for name, content in files.items()}
    changed = {path: text for path, text in data.items() if not (path.is_file() and path.read_bytes() == text)}
    partial = {path: path.with_name(f".{path.name}.partial") for path in changed}
    folders: list[Path] = []
    try:
        for path, text in changed.items():
            folders += _made(path.parent)
            partial[path].write_bytes(text)
        for path in changed:
            os.replace(partial[path], path)
    except BaseException:
        for left in partial.values():
            left.unlink(missing_ok=True)
        for folder in reversed(folders):
            with suppress(OSError):  # it holds a file that was renamed already
                folder.rmdir()
        raise
    return len(changed)


def _made(folder: Path) -> list[Path]:
    """Make a folder and the folders above it that are missing; returns those that were, from the top."""
    missing = [p for p in (folder, *folder.parents) if not p.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    return missing[::-1]


def case_twin(files: Mapping[str, str], root: Path) -> Path | None:
    """A file below ``root`` whose path differs from one of these only by case: where case is ignored, both are one file."""
    for name in files:
        path = root / name
        for there in path.parent.iterdir() if path.parent.is_dir() else ():
            if there.name != path.name and there.name.casefold() == path.name.casefold():
                return there
    return None


@dataclass(frozen=True)
class Difference:
    """An owned file that is not as it would be generated: its path, what is the matter, and a unified diff."""

    path: str
    what: str
    diff: str


def differences(files: Mapping[str, str], root: Path) -> list[Difference]:
    """The owned files below ``root`` that differ from these files, are missing, or that nothing generates."""
    found = []
    for name in sorted(files.keys() | owned(root)):
        path = root / name
        there = path.read_bytes().decode(errors="replace") if path.is_file() else ""
        wanted = files.get(name, "")
        if there == wanted and path.is_file() == (name in files):
            continue
        before, after = there.splitlines(), wanted.splitlines()
        diff = list(difflib.unified_diff(before, after, f"generated/{name}", "as generated now", lineterm=""))
        if name not in files:
            what = "nothing generates it"
        elif not path.is_file():
            what = "is missing"
        else:
            changed = sum(line.startswith(("+", "-")) for line in diff[2:])
            what = f"differs in {changed} {'line' if changed == 1 else 'lines'}" if changed else "differs in its line ends"
        found.append(Difference(name, what, "\n".join(diff)))
    return found
