"""The catalogue: one file per op, found by its name. A file gives ``TEXT``, and may give ``SIZES``, ``SOURCE``, ``NOTES``."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from derive.parse import parse
from derive.syntax import Op


def names() -> tuple[str, ...]:
    """The names of the catalogue's ops, in alphabetical order."""
    return tuple(sorted(m.name for m in pkgutil.iter_modules(__path__)))


@cache
def find(name: str) -> Op | None:
    """The op of that name, or None."""
    if name not in names():
        return None
    module = importlib.import_module(f"{__name__}.{name}")
    return parse(
        module.TEXT.strip(),
        catalogue=find,
        sizes=getattr(module, "SIZES", None),
        title=(module.__doc__ or "").strip(),
        source=getattr(module, "SOURCE", ""),
        notes=tuple(getattr(module, "NOTES", ())),
    )


def load(name: str) -> Op:
    """The op of that name (KeyError with the known names if there is none)."""
    op = find(name)
    if op is None:
        raise KeyError(f"no op '{name}' in the catalogue; known: {', '.join(names())}")
    return op
