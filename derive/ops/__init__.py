"""The catalogue: one file per op, found by its name.

A file gives ``TEXT``, and may give ``SIZES``, ``SOURCE``, ``NOTES``, in ``VARIANTS`` what is emitted beside the op, and
flags that ask for files of other kinds. A
variant is found by the op's name with its own behind it: ``tanh_accurate``.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from functools import cache
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


def reference(op: Op) -> Callable[..., Any]:
    """What torch itself computes in the place of an op or a variant: a function of torch, the inputs and the constants."""
    return _module(op.base).reference


def asks(op: str, what: str) -> bool:
    """Whether the file of an op sets a flag, such as ``CHAIN``; False for what is no op of the catalogue."""
    return op in names() and bool(getattr(_module(op), what, False))


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"{__name__}.{name}")


@cache
def find(name: str) -> Op | None:
    """The op or the variant of that name, or None."""
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
    """The op or the variant of that name (KeyError with the known names if there is none)."""
    op = find(name)
    if op is None:
        raise KeyError(f"no op '{name}' in the catalogue{known(name)}")
    return op


def known(word: str) -> str:
    """What to say beside a name that no op has: which one may have been meant, and all there are."""
    return f"{meant(word, (*names(), *variants()))}; known: {', '.join(names())}"
