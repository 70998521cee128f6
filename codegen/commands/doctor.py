"""``doctor``: what is installed, what each part is for, and how to get what is missing."""

from __future__ import annotations

import argparse
from typing import Any

from codegen.doctor import report
from derive import command


def add(commands: Any) -> None:
    one = commands.add_parser(
        "doctor",
        help="say what is installed, what each part is for, and how to get what is missing",
        description="Exit status: 0 if all that deriving and emitting need is there, 1 otherwise.",
    )
    one.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    text, complete = report()
    command.show(text)
    return 0 if complete else 1
