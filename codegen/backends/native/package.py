"""Native kernels as modules: their files in a package of their own, for as long as the process lives."""

from __future__ import annotations

import atexit
import importlib
import shutil
import sys
import tempfile
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from types import ModuleType

__all__ = ["load_native", "load_natives"]


def load_native(name: str, files: Mapping[str, str]) -> ModuleType:
    """The native module of an op from the texts of its files; its C functions are compiled at their first call."""
    root = Path(_packages())
    package = f"{root.name}_{len(list(root.iterdir()))}"  # a spawned process inherits the import path
    for path, text in files.items():
        target = root / package / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    importlib.invalidate_caches()
    return importlib.import_module(f"{package}.native.{name}")


@cache
def _packages() -> str:
    """A folder on the import path, removed when the process ends."""
    folder = tempfile.mkdtemp(prefix="native_kernels_")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    sys.path.append(folder)
    return folder


def load_natives(names: Iterable[str], files: Mapping[str, str]) -> dict[str, ModuleType]:
    """The native module of each op from files below one folder, compiled; empty where there is no C compiler.

    Compiled libraries go into the runtime's cache, where later calls find them.
    """
    wanted = {n: t for n, t in files.items() if n.startswith(("native/", "numpy/")) and not n.startswith("native/torch/")}
    names = list(names)
    package = load_native(names[0], wanted).__package__
    build = importlib.import_module(f"{package}._build")
    if build.compiler() is None:
        return {}
    build.compile_all(names)
    return {name: importlib.import_module(f"{package}.{name}") for name in names}
