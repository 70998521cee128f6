"""The command line: ``python -m codegen show | emit | learn | audit | derive | check | ...``."""

from __future__ import annotations

import sys
from typing import Any

try:
    from codegen.commands import accuracy, atlas, audit, derive, doctor, emit, exercise, learn, listing, notebook, schedule
    from codegen.commands.parser import run
    from derive.__main__ import add_commands as add_derivations
    from derive.called import program
except ImportError as error:
    if __name__ != "__main__":
        raise
    from codegen.without import without

    sys.exit(without(error, sys.argv[1:]))

__all__ = ["add_commands", "main"]


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns its exit status."""
    return run(program("codegen"), "From equations to certified kernels.", (add_commands,), arguments)


def add_commands(commands: Any) -> None:
    """Add every command to subparsers of a :class:`derive.parser.Parser`: those of ``derive``, and those of this package."""
    add_derivations(commands)
    for one in (listing, emit, learn, exercise, audit, accuracy, schedule, atlas, notebook, derive, doctor):
        one.add(commands)


if __name__ == "__main__":
    sys.exit(main())
