"""``emit``: the kernels of an op of one's own."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from codegen.commands.parser import backend_names, offered
from codegen.emit import emit
from codegen.table import table
from derive import command
from derive.simplify.budget import WORK
from derive.syntax import VARIANTS

BUDGET = f"A derivation that takes more than {WORK:,} steps of work, on any machine, is refused, and nothing is written."


def add(commands: Any) -> None:
    one = commands.add_parser("emit", help="derive, certify and emit an op of your own")
    one.ending = lambda: f"{BUDGET} {offered()}"
    one.add_argument("file", type=Path, help="a text file with the op's equations")
    one.add_argument("--out", type=Path, required=True, help="the folder to write to")
    one.add_argument("--backend", default=backend_names(), help="comma-separated (default: %(default)s)")
    one.add_argument("--variant", choices=VARIANTS, default="", help="accurate: nothing cancels, at the cost of speed")
    one.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    text, backends = command.read_text(options.file), options.backend.split(",")
    print(table([emit(text, options.out, backends=backends, variant=options.variant)]))
    return 0
