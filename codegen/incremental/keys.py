"""Keys over everything that decides what is generated: two equal keys mean two equal results.

A key is a hash of contents, never of times. It holds the toolkit's own sources, what is installed, the backends
that run here, and the files of the op and of every op that its text names.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path

from codegen.backends.discovery import discovered, unavailable
from derive.called import program

__all__ = ["Source", "deciding_files", "engine_key", "part_key"]

#: What decides nothing: the catalogue, whose files have keys of their own, and what is built on the compiler.
#: Of the commands and the tools, those below decide all the same.
APART = ("derive/ops", "codegen/commands", "codegen/tools", "codegen/packaging")
DECIDES = (
    "derive/ops/__init__.py",
    "codegen/commands/__init__.py",
    "codegen/commands/derive.py",
    "codegen/commands/places.py",
    "codegen/tools/__init__.py",
    "codegen/tools/picture.py",
    "codegen/tools/flow/",
    "codegen/tools/makemore/",
)
#: The folder that has the packages of the toolkit, as ``codegen`` and ``derive`` are called inside it.
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Source:
    """An op's file: its text in the language, and the bytes of the whole file."""

    text: str
    data: bytes


def deciding_files() -> list[Path]:
    """The toolkit's own files that decide what is generated, templates among them."""
    found = (p for folder in ("derive", "codegen") for p in sorted((ROOT / folder).rglob("*")))
    return [p for p in found if p.is_file() and p.suffix not in (".md", ".pyc") and _decides(p.relative_to(ROOT).as_posix())]


def _decides(path: str) -> bool:
    return path.startswith(DECIDES) or not path.startswith(tuple(f"{folder}/" for folder in APART))


def engine_key() -> str:
    """The part of every key that is the same for all ops."""
    found = hashlib.sha256()
    for said in (sys.version, platform.platform(), program("codegen"), os.environ.get("CC", "")):
        _add(found, said.encode())
    for name in installed():
        _add(found, name.encode())
    _add(found, repr(unavailable(discovered().values())).encode())
    for path in deciding_files():
        _add(found, path.relative_to(ROOT).as_posix().encode())
        _add(found, path.read_bytes())
    return found.hexdigest()


def part_key(part: str, engine: str, ops: Iterable[str], sources: Mapping[str, Source]) -> str:
    """The key of a part of what is generated, made from these ops of a catalogue with these files."""
    found = hashlib.sha256(engine.encode())
    _add(found, part.encode())
    for name in _named(ops, sources):
        _add(found, name.encode())
        _add(found, sources[name].data)
    return found.hexdigest()


def _named(ops: Iterable[str], sources: Mapping[str, Source]) -> list[str]:
    """The ops, and every op whose name stands in the text of one of them: more than the ops that are called."""
    found, open_ = set[str](), set(ops)
    while open_:
        found |= open_
        words = {word for name in open_ for word in re.findall(r"\w+", sources[name].text)}
        open_ = (words & sources.keys()) - found
    return sorted(found)


def _add(to: hashlib._Hash, data: bytes) -> None:
    """Add data with its length, so that no two lists of data give one hash."""
    to.update(f"{len(data)}:".encode())
    to.update(data)


def installed() -> list[str]:
    """Every installed distribution with its version: what computes, prints, formats and judges is among them."""
    return sorted({f"{d.name} {d.version}" for d in distributions()})
