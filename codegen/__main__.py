"""The command line: ``python -m codegen derive | check | emit | audit | exercise | ...``. Only this module writes files."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from codegen.backends.arrays.discovery import array_backends, first
from codegen.backends.discovery import discovered
from codegen.backends.native.describe import describe
from codegen.build import COMMAND, Built, build_catalogue, package_files, with_compiled
from codegen.emit import emit, formatted
from codegen.plan import plan
from codegen.table import table
from codegen.tools.makemore.files import exercise_files
from codegen.write import differences, write_files, write_owned
from derive import Op, command, derive, load, parse
from derive.errors import OpError
from derive.ops import find, known, names, variants
from derive.simplify.budget import WORK
from derive.syntax import VARIANTS

ROOT = Path(__file__).resolve().parent.parent / "generated"
#: Pages are no owned files: nothing compares them, and they are not tracked.
ATLAS = ROOT / "html"
NODE = ROOT.parent / ".node"
BUDGET = f"A derivation that takes more than {WORK:,} steps of work, on any machine, is refused, and nothing is written."


def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    return command.run(lambda: int(options.run(options)))


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="python -m codegen", description="From equations to certified kernels.")
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    all_ops = commands.add_parser("derive", help="derive, certify and emit the whole catalogue into generated/")
    all_ops.set_defaults(run=run_derive)
    check = commands.add_parser("check", help="compare generated/ with what would be generated")
    check.set_defaults(run=run_check)
    one = commands.add_parser("emit", help="derive, certify and emit an op of your own", epilog=BUDGET)
    one.add_argument("file", type=Path, help="a text file with the op's equations")
    one.add_argument("--out", type=Path, required=True, help="the folder to write to")
    one.add_argument("--backend", default=",".join(discovered()), help="comma-separated (default: %(default)s)")
    one.add_argument("--variant", choices=VARIANTS, default="", help="accurate: nothing cancels, at the cost of speed")
    one.set_defaults(run=run_emit)
    _add_audit(commands)
    _add_exercise(commands)
    _add_accuracy(commands)
    loops = commands.add_parser("schedule", help="show the loops of an op's native kernels, and the bytes they move")
    loops.add_argument("op", help="an op of the catalogue, or a text file with equations")
    loops.set_defaults(run=run_schedule)
    atlas = commands.add_parser("atlas", help="write a page for each op, to be looked at in a browser")
    atlas.add_argument("ops", nargs="*", metavar="OP", help="an op of the catalogue (default: all)")
    atlas.add_argument("--out", type=Path, default=ATLAS, help="the folder to write to (default: generated/html)")
    atlas.add_argument("--node", type=Path, default=NODE, help="the folder whose node_modules holds KaTeX (default: .node)")
    atlas.add_argument("--quick", action="store_true", help="measure errors at fewer points")
    atlas.set_defaults(run=run_atlas)
    notebook = commands.add_parser("notebook", help="write and execute an op's derivation, or the exercise, as a notebook")
    notebook.add_argument("op", nargs="?", help="an op of the catalogue, or a text file with equations (default: the exercise)")
    notebook.add_argument("--out", type=Path, metavar="FILE", help="where it goes (default: below out/)")
    notebook.set_defaults(run=run_notebook)
    return top


def _add_audit(commands: Any) -> None:
    audit = commands.add_parser(
        "audit",
        help="verify a backward function of your own, and find out what is wrong with it",
        description="Verify a backward function against an op's derivation. FILE is your own code: it is imported, and so run.",
        epilog="Exit status: 0 if every gradient is correct, 1 otherwise.",
    )
    audit.add_argument("file", type=Path, help="a Python file with a function of NumPy's, torch's or JAX's arrays")
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
    audit.set_defaults(run=run_audit)


def _add_exercise(commands: Any) -> None:
    one = commands.add_parser("exercise", help="find the gradients of an op yourself: a file with blanks, graded, with hints")
    one.add_argument("op", help="an op of the catalogue, or a text file with equations")
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
    one.set_defaults(run=run_exercise)


def _add_accuracy(commands: Any) -> None:
    errors = commands.add_parser(
        "accuracy",
        help="print the errors of an op's kernels in ULP against mpmath, beside torch's own op",
        description="Errors in ULP of value and gradients, over a dtype's whole range or at hard inputs. Nothing is judged.",
    )
    errors.add_argument("op", help="an op of the catalogue, or a text file with equations")
    errors.add_argument("--quick", action="store_true", help="fewer points and shorter rows")
    errors.add_argument("--dtype", default="float32,float64", help="comma-separated (default: %(default)s)")
    errors.add_argument("--backend", default=",".join(discovered()), help="comma-separated (default: %(default)s)")
    errors.set_defaults(run=run_accuracy)


def generate() -> tuple[dict[str, str], list[Built]]:
    """Every owned file as it should be; OpError if an op fails or does not certify."""

    def progress(stream: Iterator[Built], count: int) -> Iterator[Built]:
        bar = tqdm(total=count, unit="op", disable=None)
        for built in stream:
            bar.set_postfix_str(built.op)
            bar.update()
            yield built
        bar.close()

    built = build_catalogue(progress)
    failed = [b for b in built if not b.certified]
    if failed:
        raise OpError("; ".join(b.certificate for b in failed), op=", ".join(b.op for b in failed))
    files = {name: text for b in built for name, text in b.files.items()}
    files |= package_files(built)
    files |= exercise_files(COMMAND)
    return formatted(files), built


def run_derive(options: argparse.Namespace) -> int:
    files, built = generate()
    built = with_compiled(built, files)
    written, removed = write_owned(files, ROOT)
    print(table(built))
    print(f"\n{len(files)} files: {written} written, {removed} removed, the others unchanged.")
    return 0


def run_check(options: argparse.Namespace) -> int:
    files, _ = generate()
    text, changed = differences(files, ROOT)
    if changed:
        command.show(text)
        print(f"\n{changed} files differ from what is generated; `make derive` writes them.", file=sys.stderr)
    return 1 if changed else 0


def run_emit(options: argparse.Namespace) -> int:
    text, backends = command.read_text(options.file), options.backend.split(",")
    print(table([emit(text, options.out, backends=backends, variant=options.variant)]))
    return 0


def run_audit(options: argparse.Namespace) -> int:
    from codegen.tools.auditor import audit, load_file
    from codegen.tools.auditor.isolated import isolated

    op = load(options.op) if options.op else parse(command.read_text(options.equations))
    names = dict(_assigned(text) for text in options.name)
    axes = None if options.axes is None else _counts(options.axes)

    def work() -> tuple[str, int]:
        function = load_file(options.file, op.name, options.function)
        report = audit(function, op, dtype=options.dtype, names=names, layout=options.layout, axes=axes)
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


def run_exercise(options: argparse.Namespace) -> int:
    from codegen.tools.workbook import exercise, hint, sheet

    found = exercise(_op(options.op), options.backend)
    if options.hint:
        command.show(hint(found.blank(options.hint), options.step))
        return 0
    if options.check:
        return _check(found, options.check)
    path = options.out or Path(f"{found.op.name}_{'solution' if options.solution else 'exercise'}.py")
    if path.exists():
        raise ValueError(f"{path} exists; name another file with --out")
    text = sheet(found, path.name, solved=options.solution, command=shlex.quote(options.op))
    path.write_text(text, encoding="utf-8")
    print(f"{len(found.blanks)} gradients in {path}")
    return 0


def _check(exercise: Any, file: Path) -> int:
    from codegen.tools.auditor import load_file
    from codegen.tools.auditor.isolated import isolated
    from codegen.tools.workbook import grade

    def work() -> tuple[str, int]:
        grades = grade(exercise, load_file(file, exercise.op.name))
        right = sum(g.approximate for g in grades)
        return "\n".join([*map(str, grades), f"{right} of {len(grades)} right"]), int(right < len(grades))

    text, status = isolated(work, str(file))
    command.show(text)
    return status


def run_accuracy(options: argparse.Namespace) -> int:
    from codegen.tools.accuracy import accuracy

    print(accuracy(_op(options.op), options.dtype.split(","), options.backend.split(","), options.quick))
    return 0


def run_schedule(options: argparse.Namespace) -> int:
    print(describe(plan(derive(_op(options.op)))))
    return 0


def _op(what: str) -> Op:
    """An op of the catalogue, or one in a text file."""
    file = Path(what)
    if find(what) is None and not command.is_path(what):
        raise ValueError(f"no op '{what}' in the catalogue, and no file of that name{known(what)}")
    return find(what) or parse(command.read_text(file))


def run_atlas(options: argparse.Namespace) -> int:
    from codegen.tools.atlas.book import pages
    from codegen.tools.atlas.files import atlas_files

    if unknown := sorted(set(options.ops) - set(names())):
        raise ValueError(f"no op '{unknown[0]}' in the catalogue{known(unknown[0])}")
    chosen = [load(name) for name in sorted((*names(), *variants())) if load(name).base in (options.ops or names())]
    made = pages(chosen, _measured(chosen, options.quick))
    files = atlas_files(made, options.node)
    written = write_files(files, options.out)
    if options.out == ATLAS and not options.ops:  # pages of ops that are gone
        for page in sorted(ATLAS.glob("*.html")):
            if page.name not in files:
                page.unlink()
    print(f"{len(made)} pages below {options.out}: {written} files written, the others unchanged.")
    return 0


def _measured(ops: list[Op], quick: bool) -> Callable[[Op], Sequence[Any]]:
    """What gives the section on an op's errors."""
    try:
        from codegen.tools.atlas.accuracy import accuracy_sections
    except ImportError:  # torch is not installed: there is nothing to measure with
        return lambda op: ()
    found = accuracy_sections(ops, quick)
    return lambda op: [found[op.name]]


def run_notebook(options: argparse.Namespace) -> int:
    from codegen.tools.notebook import main as notebook

    return notebook(_op(options.op) if options.op else None, options.out)


if __name__ == "__main__":
    sys.exit(main())
