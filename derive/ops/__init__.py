"""The catalogue: one file for each op, called as the op is.

A file has ``TEXT`` and ``GROUP``, the kind of op that it is. It may have ``SIZES``, ``SOURCE``, ``NOTES``, ``VARIANTS`` (the
variants that are emitted beside the op), and flags that ask for further kinds of files. The variant ``accurate`` of ``tanh``
is found as ``tanh_accurate``.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from derive.command import meant
from derive.language.parse import parse
from derive.syntax import VARIANTS, Op


def names() -> tuple[str, ...]:
    """The names of the catalogue's ops, in alphabetical order."""
    return tuple(sorted(m.name for m in pkgutil.iter_modules(__path__)))


def variants() -> tuple[str, ...]:
    """The names of the variants that are emitted, in alphabetical order."""
    return tuple(f"{name}_{v}" for name in names() for v in getattr(_module(name), "VARIANTS", ()))


def group(name: str) -> str:
    """The kind of op that it is, as its file states it, such as "losses"; "" where no file does."""
    return str(getattr(_module(name), "GROUP", "")) if name in names() else ""


def source(name: str) -> tuple[str, bytes]:
    """The text of an op in the language, and its whole file."""
    module = _module(name)
    return str(module.TEXT), Path(str(module.__file__)).read_bytes()


def reference(op: Op) -> Callable[..., Any]:
    """The torch expression that an op or its variant should equal: a function of torch, the inputs and the constants."""
    return _module(op.base).reference


def asks(op: str, what: str) -> bool:
    """Whether the file of an op sets a flag, such as ``CHAIN``; False if the catalogue has no such op."""
    return op in names() and bool(getattr(_module(op), what, False))


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"{__name__}.{name}")


@cache
def find(name: str) -> Op | None:
    """The op or variant of that name; None if there is none."""
    base, _, variant = name.rpartition("_")
    if variant in VARIANTS and base in names():
        return load(base).as_variant(variant)
    if name not in names():
        return None
    module = _module(name)
    return parse(
        module.TEXT.strip(),
        catalogue=find,
        sizes=getattr(module, "SIZES", None),
        title=(module.__doc__ or "").strip(),
        source=getattr(module, "SOURCE", ""),
        notes=tuple(getattr(module, "NOTES", ())),
    )


def load(name: str) -> Op:
    """The op or variant of that name (KeyError, with the name that looks most like it, if there is none)."""
    op = find(name)
    if op is None:
        raise KeyError(f"no op '{name}' in the catalogue{known(name)}")
    return op


def known(word: str) -> str:
    """The hint for an unknown op: the name that looks most like it, and how all are listed."""
    return f"{meant(word, (*names(), *variants()))}; 'python -m codegen list' lists all"
