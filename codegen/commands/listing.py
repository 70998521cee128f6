"""``list``: the ops of the catalogue, and the backends that they have kernels in."""

from __future__ import annotations

import argparse
from typing import Any

from codegen.backends.discovery import discovered
from derive import command
from derive.__main__ import op_lines
from derive.called import KERNELS

#: The op whose imports are shown.
EXAMPLE = "OP"


def add(commands: Any) -> None:
    """Of the ``list`` that :mod:`derive` has: the backends besides."""
    commands.choices["list"].set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    command.show(*op_lines(), "", "backends", "--------", *_backends())
    return 0


def _backends() -> list[str]:
    """For each backend its name, its title, how its kernels are imported, and what is missing to run them here."""
    width = max(len(name) for name in discovered())
    out = []
    for name, backend in discovered().items():
        imported = f"from {KERNELS}.{name} import {', '.join(backend.exports(EXAMPLE))}"
        reason = backend.missing()
        out.append(f"{name:{width}}  {backend.title}" + (f" ({reason}, so it does not run here)" if reason else ""))
        out.append(f"{'':{width}}  {imported}")
    return out
