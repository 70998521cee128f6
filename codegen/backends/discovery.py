"""The available backends: the folders beside this file that have a ``backend.py``."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from types import ModuleType

from codegen.backends.backend import Backend, Files
from codegen.program import Kernel
from derive.command import meant

__all__ = ["by_name", "chosen", "discovered", "kernel_files", "load_kernel", "unavailable", "with_needed"]


@cache
def discovered() -> dict[str, Backend]:
    """Every backend by its name, in the order of lists."""
    folders = sorted(p.parent.name for p in Path(__file__).parent.glob("*/backend.py"))
    modules = [importlib.import_module(f"{__package__}.{folder}.backend") for folder in folders]
    found: list[Backend] = [m.BACKEND for m in modules if hasattr(m, "BACKEND")]
    return {b.name: b for b in sorted(found, key=lambda b: (b.position, b.name))}


def by_name(name: str) -> Backend:
    """The backend of that name (ValueError if there is none)."""
    (found,) = chosen([name])
    return found


def chosen(names: Iterable[str]) -> tuple[Backend, ...]:
    """The backends of these names, in the order of lists.

    Raises ValueError for an unknown name, and where no name is given.
    """
    wanted, known = list(names), discovered()
    unknown = [n for n in wanted if n not in known]
    if unknown or not wanted:
        hint = meant(unknown[0], known) if unknown else ""
        raise ValueError(f"unknown backend '{', '.join(unknown)}'{hint}; known: {', '.join(known)}")
    return tuple(known[n] for n in known if n in wanted)


def with_needed(backends: Iterable[Backend]) -> tuple[Backend, ...]:
    """The backends, and the backends whose files they need in order to run."""
    names = {n for b in backends for n in (b.name, *b.needs)}
    return chosen(names)


def unavailable(backends: Iterable[Backend]) -> dict[str, str]:
    """What is missing to run the kernels of each backend that cannot be run here."""
    return {b.name: reason for b in backends if (reason := b.missing())}


def kernel_files(kernel: Kernel, backend: Backend, command: str) -> Files:
    """Every file that the kernel's module needs, not yet formatted."""
    needed = with_needed([backend])
    files: Files = {}
    for b in needed:
        files |= b.files(kernel, command) | b.runtime()
    return files


def load_kernel(kernel: Kernel, backend: str) -> ModuleType:
    """A module with the kernel's functions in one backend, emitted anew. A compiled kernel is compiled at its first call."""
    found = by_name(backend)
    return found.load(kernel.op.name, kernel_files(kernel, found, "a check"))
