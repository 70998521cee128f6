"""``notebook``: an op's derivation, or the exercise, as an executed notebook."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from derive.meant import add_op, op_of


def add(commands: Any) -> None:
    notebook = commands.add_parser("notebook", help="write and execute an op's derivation, or the exercise, as a notebook")
    add_op(notebook, otherwise="the exercise")
    notebook.add_argument("--out", type=Path, metavar="FILE", help="where it goes (default: below out/)")
    notebook.add_argument("--blanks", action="store_true", help="leave the gradients to be found, each with its check")
    notebook.add_argument("--standalone", action="store_true", help="the exercise without this project: on random data")
    notebook.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from codegen.tools.notebook import main as notebook

    return notebook(op_of(options) if options.op else None, options.out, options.blanks, options.standalone)
