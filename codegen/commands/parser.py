"""The parser of the commands. The end of its help is computed only when help is asked for."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from codegen.backends.discovery import discovered
from derive import command

__all__ = ["Parser", "backend_names", "offered", "run"]


class Parser(argparse.ArgumentParser):
    """A parser whose help may end with text that takes time to compute."""

    ending: Callable[[], str] | None = None

    def format_help(self) -> str:
        if self.ending is not None:
            self.epilog = self.ending()
        return super().format_help()


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
