"""The command line: ``python -m codegen derive | check | emit | audit | exercise | ...``."""

from __future__ import annotations

import sys
from typing import Any

from codegen.commands import accuracy, atlas, audit, derive, emit, exercise, notebook, schedule
from codegen.commands.parser import Parser, offered
from derive import command
from derive.called import program

__all__ = ["add_commands", "main"]


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns its exit status."""
    top = Parser(prog=program("codegen"), description="From equations to certified kernels.")
    top.ending = offered
    add_commands(top.add_subparsers(required=True, metavar="COMMAND"))
    options = top.parse_args(arguments)
    return command.run(lambda: int(options.run(options)))


def add_commands(commands: Any) -> None:
    """Add every command to subparsers of a :class:`Parser`."""
    for one in (derive, emit, audit, exercise, accuracy, schedule, atlas, notebook):
        one.add(commands)


if __name__ == "__main__":
    sys.exit(main())
