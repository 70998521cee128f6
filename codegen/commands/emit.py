"""``emit``: the kernels of an op, as packages."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import Any

from codegen.commands.parser import backend_names, offered
from codegen.emit import Emitted, Wanted, emitted
from codegen.emitted import Imports
from codegen.table import table
from derive import command
from derive.meant import add_op, is_formula, op_of
from derive.simplify.budget import WORK
from derive.syntax import VARIANTS

BUDGET = f"A derivation that takes more than {WORK:,} steps of work, on any machine, is refused, and nothing is written."


def add(commands: Any) -> None:
    one = commands.add_parser("emit", help="derive, certify and emit an op of your own, or one of the catalogue")
    one.ending = lambda: f"{BUDGET} {offered()}"
    add_op(one)
    one.add_argument("--out", type=Path, default=Path("kernels"), help="the folder to write to (default: %(default)s)")
    one.add_argument("--backend", default=backend_names(), help="comma-separated (default: %(default)s)")
    one.add_argument(
        "--variant", choices=VARIANTS, default="", metavar="{accurate}", help="accurate: nothing cancels, at the cost of speed"
    )
    one.add_argument("--name", default="", help="how the op of a formula is called (default: like the formula's output)")
    one.add_argument("--force", action="store_true", help="overwrite files that were emitted and then edited by hand")
    one.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    op, backends = op_of(options, options.name), [b for b in options.backend.split(",") if b]
    done = emitted(Wanted(op, options.out, backends, options.variant, options.force, _given(options)))
    files = f"{done.files} files in {options.out}: {_written(done.written, done.files)}."
    command.show(table([done.built]), "", files, *_replaced(done))
    command.show(*_imported(done.imports, options.out))
    return 0


def _given(options: argparse.Namespace) -> str:
    """The op as the command line is given it, without folders."""
    what = options.op if is_formula(options.op) else Path(options.op).name
    given = [("--name", options.name), ("--sizes", options.sizes)]
    return shlex.join([what, *(word for pair in given if pair[1] for word in pair)])


def _written(written: int, files: int) -> str:
    if not written:
        return "all are as they were"
    return "all written" if written >= files else f"{written} written, the others as they were"


def _replaced(done: Emitted) -> list[str]:
    if not done.replaced:
        return []
    return [f"The '{done.built.op}' that was there before is replaced; it came from `{done.replaced}`."]


def _imported(found: Imports, out: Path) -> list[str]:
    if not found.lines:
        return [f"Python cannot import from a folder called '{out.name}'; each file can be copied to where it is needed."]
    place = "here" if found.folder == Path() else f"in Python started in {found.folder}"
    return [f"To import it {place}:", *(f"    {line}" for line in found.lines)]
