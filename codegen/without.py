"""What the command line does where a module is missing that its commands need."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from codegen.doctor import report

__all__ = ["without"]


def without(error: ImportError, arguments: Sequence[str]) -> int:
    """Say what is missing, in one line or as the doctor's report; returns the exit status. A fault of our own is raised."""
    if (error.name or "").partition(".")[0] in ("derive", "codegen"):
        raise error
    if list(arguments[:1]) == ["doctor"]:
        text, complete = report()
        print(text)
        return 0 if complete else 1
    print(f"error: {error}; `python -m codegen doctor` says what is needed, and how to get it", file=sys.stderr)
    return 1
