"""``learn``: find the gradients of an op one at a time, with hints, each line checked at once."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import Any

from codegen.backends.arrays.discovery import array_backends, first
from codegen.commands.parser import offered
from derive import command
from derive.called import program
from derive.meant import add_op, op_as_given, op_of

#: The op of the course's own exercise.
DEFAULT = "makemore"
#: How long a line of the learner may compute, in seconds.
SECONDS = 20


def add(commands: Any) -> None:
    one = commands.add_parser("learn", help="find the gradients of an op yourself, one at a time, guided")
    one.ending = offered
    add_op(one, default=DEFAULT, otherwise=DEFAULT)
    one.add_argument("--out", type=Path, help="your file, which the lines go into (default: OP_exercise.py)")
    one.add_argument(
        "--backend", choices=tuple(array_backends()), help=f"what to write in (default: {first().name}, or what the file is in)"
    )
    one.add_argument(
        "--seconds", type=float, default=SECONDS, help="how long one of your lines may compute (default: %(default)s)"
    )
    one.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from codegen.tools.learn import Session
    from codegen.tools.learn.page import save
    from codegen.tools.workbook import exercise, sheet

    op = op_of(options)
    path = options.out or Path(f"{op.name}_exercise.py")
    if path.is_dir() or not path.parent.is_dir():
        raise ValueError(f"{path} is a folder" if path.is_dir() else f"there is no folder {path.parent}")
    backend = _backend(path, options.backend)
    found = exercise(op, backend)
    if not path.exists():
        save(path, sheet(found, path.name, command=op_as_given(options)))
    words = [f"{program('codegen')} learn", *([] if op_as_given(options) == DEFAULT else [op_as_given(options)])]
    words += [f"--out {shlex.quote(str(path))}"] if options.out else []
    words += [f"--backend {options.backend}"] if options.backend else []
    again = f"{program('codegen')} exercise {op_as_given(options)} --check {shlex.quote(str(path))}"
    again += f" --backend {backend}" if backend != first().name else ""
    return Session(found, path, " ".join(words), again, options.seconds).run()


def _backend(path: Path, asked: str | None) -> str:
    """The backend whose library a file is written in, the one that is asked for where there is no file.

    ValueError where the file is written in another than is asked for.
    """
    from codegen.tools.learn.page import imports

    if not path.exists():
        return asked or first().name
    used = imports(command.read_text(path))
    written = [b.name for b in array_backends().values() if b.arrays.name in used]
    if asked and written and asked not in written:
        raise ValueError(f"{path} is written in {written[-1]}, not in {asked}; name another file with --out")
    return asked or (written or [first().name])[-1]
