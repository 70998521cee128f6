"""What the commands' parsers have in common: the backends to choose from, and how a command line is run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from codegen.backends.discovery import discovered
from derive import command
from derive.parser import Parser

__all__ = ["backend_names", "offered", "run"]


def backend_names() -> str:
    """The names of all backends as ``--backend`` takes them."""
    return ",".join(discovered())


def offered() -> str:
    """A sentence on the backends: their names, and what is missing to run the kernels of some of them here."""
    said = [f"{b.name} ({reason})" if (reason := b.missing()) else b.name for b in discovered().values()]
    return f"Backends: {', '.join(said)}."


def run(program: str, description: str, adders: Iterable[Callable[[Any], None]], arguments: Sequence[str] | None) -> int:
    """Run one of the commands that ``adders`` add to subparsers, and return its exit status."""
    top = Parser(prog=program, description=description)
    top.ending = offered
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    for add in adders:
        add(commands)
    options = top.parse_args(arguments)
    return command.run(lambda: int(options.run(options)))
