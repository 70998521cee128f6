"""``exercise``: a file whose gradients a learner finds, graded, with hints."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from codegen.backends.arrays.discovery import array_backends, first
from codegen.commands.parser import offered
from derive import command
from derive.meant import add_op, op_as_given, op_of


def add(commands: Any) -> None:
    one = commands.add_parser("exercise", help="find the gradients of an op yourself: a file with blanks, graded, with hints")
    one.ending = offered
    add_op(one)
    one.add_argument("--out", type=Path, help="where the file goes (default: OP_exercise.py)")
    one.add_argument(
        "--backend",
        default=first().name,
        choices=tuple(array_backends()),
        help="what to write it in (default: %(default)s)",
    )
    what = one.add_mutually_exclusive_group()
    what.add_argument("--check", type=Path, metavar="FILE", help="grade a file that was filled in (your own code: it is run)")
    what.add_argument("--hint", metavar="NAME", help="show a step of one gradient's derivation")
    what.add_argument("--solution", action="store_true", help="write the file with every blank filled")
    one.add_argument("--step", type=int, default=1, metavar="K", help="which step to hint at (default: %(default)s)")
    one.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from codegen.tools.workbook import exercise, hint, sheet

    found = exercise(op_of(options), options.backend)
    if options.hint:
        command.show(hint(found, options.hint, options.step))
        return 0
    if options.check:
        return _check(found, options.check)
    path = options.out or Path(f"{found.op.name}_{'solution' if options.solution else 'exercise'}.py")
    if path.exists():
        raise ValueError(f"{path} exists; name another file with --out")
    text = sheet(found, path.name, solved=options.solution, command=op_as_given(options))
    path.write_text(text, encoding="utf-8")
    print(f"{len(found.blanks)} gradients in {path}")
    return 0


def _check(exercise: Any, file: Path) -> int:
    from codegen.tools.auditor.isolated import isolated
    from codegen.tools.workbook import filled_file, grade

    def work() -> tuple[str, int]:
        grades = grade(exercise, filled_file(file, exercise.op, exercise.names))
        right = sum(g.approximate for g in grades)
        return "\n".join([*map(str, grades), f"{right} of {len(grades)} right"]), int(right < len(grades))

    text, status = isolated(work, str(file))
    command.show(text)
    return status
