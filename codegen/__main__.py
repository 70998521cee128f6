"""The command line: ``python -m codegen derive | check | emit | audit | exercise | ...``."""

from __future__ import annotations

import sys
from typing import Any

from codegen.commands import accuracy, atlas, audit, derive, emit, exercise, notebook, schedule
from codegen.commands.parser import run
from derive.called import program

__all__ = ["add_commands", "main"]


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns its exit status."""
    return run(program("codegen"), "From equations to certified kernels.", (add_commands,), arguments)


def add_commands(commands: Any) -> None:
    """Add every command to subparsers of a :class:`codegen.commands.parser.Parser`."""
    for one in (derive, emit, audit, exercise, accuracy, schedule, atlas, notebook):
        one.add(commands)


if __name__ == "__main__":
    sys.exit(main())
