"""Generated source as modules, without writing anything that stays."""

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

from codegen.backends.arrays.layout import lay_out
from codegen.backends.native.files import op_files, runtime_files
from codegen.program import Kernel
from codegen.render import render_file

__all__ = ["load_kernel", "load_native", "load_natives", "load_source"]


def load_source(name: str, text: str) -> ModuleType:
    """A module made of generated source, without touching ``sys.modules``."""
    module = ModuleType(name)
    module.__file__ = f"<{name}>"
    exec(compile(text, module.__file__, "exec"), module.__dict__)  # our own output, never a user's text
    return module


def load_kernel(kernel: Kernel, backend: str) -> ModuleType:
    """A module with the kernel's functions in one backend, emitted anew; the native one is compiled when it is called."""
    if backend != "native":
        return load_source(f"{kernel.op.name}_{backend}", render_file(lay_out(kernel, backend, "a check"), backend))
    source = render_file(lay_out(kernel, "numpy", "a check"), "numpy")
    return load_native(kernel.op.name, {f"numpy/{kernel.op.name}.py": source, **op_files(kernel, "a check"), **runtime_files()})


def load_native(name: str, files: Mapping[str, str]) -> ModuleType:
    """The native module of an op from the texts of its files, in a package of its own for as long as the process lives."""
    root = Path(_packages())
    package = f"{root.name}_{len(list(root.iterdir()))}"  # a process that this one spawns has its import path as well
    for path, text in files.items():
        target = root / package / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    importlib.invalidate_caches()
    return importlib.import_module(f"{package}.native.{name}")


@cache
def _packages() -> str:
    """A folder on the import path that goes when the process ends."""
    folder = tempfile.mkdtemp(prefix="native_kernels_")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    sys.path.append(folder)
    return folder


def load_natives(names: Iterable[str], files: Mapping[str, str]) -> dict[str, ModuleType]:
    """The native module of each op from files below one folder, compiled; empty where there is no C compiler.

    What is compiled goes into the cache that later calls use.
    """
    wanted = {n: t for n, t in files.items() if n.startswith(("native/", "numpy/")) and not n.startswith("native/torch/")}
    names = list(names)
    package = load_native(names[0], wanted).__package__
    build = importlib.import_module(f"{package}._build")
    if build.compiler() is None:
        return {}
    build.compile_all(names)
    return {name: importlib.import_module(f"{package}.{name}") for name in names}
