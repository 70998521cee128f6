"""From derivations to kernels: plan, print, render, format, write and verify. ``audit`` checks code that others wrote."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

with suppress(ImportError):  # what the engine needs may be missing, and the doctor then says so
    from derive import starting  # noqa: F401 (before what takes long to import)

__all__ = ["audit"]


def __getattr__(name: str) -> Any:
    if name == "audit":  # on first use: it loads NumPy and the engine
        from codegen.tools.auditor import audit

        return audit
    raise AttributeError(f"module 'codegen' has no attribute '{name}'")
