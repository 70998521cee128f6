"""The parser of all command lines: it says what was meant, and the end of its help is computed only when help is asked for."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from derive.command import meant

__all__ = ["Parser"]

_CHOICE = re.compile(r"invalid choice: '(.*)' \(choose from (.*)\)$")


class Parser(argparse.ArgumentParser):
    """A parser that suggests the command, option or choice that an unknown one looks like."""

    #: Text for the end of the help, where that takes time to compute.
    ending: Callable[[], str] | None = None
    #: What to say of an unknown command that looks like none here.
    elsewhere: str = ""

    def format_help(self) -> str:
        if self.ending is not None:
            self.epilog = self.ending()
        return super().format_help()

    def parse_known_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> tuple[Any, list[str]]:  # type: ignore[override]
        """Also of a command: it knows its own options, so it refuses what it does not know."""
        options, unknown = super().parse_known_args(args, namespace)
        if unknown:
            hint = next(filter(None, (self._option(word) for word in unknown)), "")
            self.error(f"unrecognized arguments: {' '.join(unknown)}{hint}")
        return options, unknown

    def _option(self, word: str) -> str:
        name = word.partition("=")[0]
        return meant(name, self._option_string_actions) if name.startswith("--") else ""

    def error(self, message: str) -> NoReturn:
        if found := _CHOICE.search(message):
            choices = [choice.strip(" '") for choice in found[2].split(",")]
            message += meant(found[1], choices) or (f"; {self.elsewhere}" if self.elsewhere else "")
        super().error(message)
