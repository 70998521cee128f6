"""``audit``: whether a backward function of one's own is right, and what is wrong with it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from codegen.backends.arrays.discovery import array_backends
from codegen.commands.parser import offered
from derive import command, load, parse
from derive.language.sizes import sizes_of_option, with_sizes
from derive.meant import add_sizes


def add(commands: Any) -> None:
    *others, last = (b.title for b in array_backends().values())
    audit = commands.add_parser(
        "audit",
        help="verify a backward function of your own, and find out what is wrong with it",
        description="Verify a backward function against an op's derivation. FILE is your own code: it is imported, and so run.",
    )
    audit.ending = lambda: f"Exit status: 0 if every gradient is correct, 1 otherwise. {offered()}"
    audit.add_argument("file", type=Path, help=f"a Python file with a function of arrays of {', '.join(others)} or {last}")
    which = audit.add_mutually_exclusive_group(required=True)
    which.add_argument("--op", help="the op of the catalogue whose backward it is")
    which.add_argument("--equations", type=Path, metavar="FILE", help="a text file with the equations of an op of your own")
    audit.add_argument("--function", help="the function's name (default: OP_backward, backward, or the only one)")
    audit.add_argument(
        "--name",
        action="append",
        default=[],
        metavar="YOURS=OURS",
        help="what a parameter or result of another name is, as in dout=dy or cache=x,rstd; a number for one not passed",
    )
    audit.add_argument(
        "--layout",
        action="append",
        default=[],
        metavar="NAME[AXES]",
        help="how an array lies whose axes are not as in the equations, as in W[h,k] or gamma[1,d]",
    )
    audit.add_argument("--axes", metavar="N", help="how many axes *s stands for, comma-separated (default: 0, 1 and 2)")
    audit.add_argument(
        "--dtype", choices=("float64", "float32"), help="of the arrays (default: float64, and float32 is to stay float32)"
    )
    add_sizes(audit)
    audit.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from codegen.tools.auditor import audit_file
    from codegen.tools.auditor.isolated import isolated

    op = load(options.op) if options.op else parse(command.read_text(options.equations))
    op = with_sizes(op, sizes_of_option(options.sizes))
    names = dict(_assigned(text) for text in options.name)
    axes = None if options.axes is None else _counts(options.axes)

    def work() -> tuple[str, int]:
        how = {"dtype": options.dtype, "names": names, "layout": options.layout, "axes": axes}
        report = audit_file(options.file, op, options.function, **how)
        return str(report), 0 if report.correct else 1

    text, status = isolated(work, str(options.file))
    command.show(text)
    return status


def _counts(text: str) -> list[int]:
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() for part in parts):
        raise ValueError(f"--axes {text}: expected numbers of axes, as in 0,1")
    return [int(part) for part in parts]


def _assigned(text: str) -> tuple[str, str]:
    """The two sides of ``dout=dy``."""
    name, equals, meaning = (part.strip() for part in text.partition("="))
    if not (name and equals and meaning):
        raise ValueError(f"--name {text}: expected a name of yours and one of the op's, as in dout=dy")
    return name, meaning
