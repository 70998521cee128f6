"""The command ``backprop-ninja`` of an installation: what ``python -m derive`` and ``python -m codegen`` offer, together."""

from __future__ import annotations

import sys

from codegen.__main__ import add_commands
from codegen.commands.parser import Parser, offered
from derive import command
from derive.__main__ import add_commands as add_derivations

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns its exit status."""
    top = Parser(prog="backprop-ninja", description="Equations in; certified gradients, their derivation and kernels out.")
    top.ending = offered
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    add_derivations(commands)
    add_commands(commands)
    options = top.parse_args(arguments)
    return command.run(lambda: int(options.run(options)))


if __name__ == "__main__":
    sys.exit(main())
