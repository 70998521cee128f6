"""The command line: ``python -m codegen derive | check | emit | schedule | notebook``. Only this module writes files."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from tqdm import tqdm

from codegen.build import BACKENDS, COMMAND, Built, build_catalogue, package_files
from codegen.emit import emit, formatted
from codegen.exercise import exercise_files
from codegen.native.describe import describe
from codegen.native.files import runtime_files
from codegen.plan import plan
from codegen.table import table
from codegen.write import differences, write_owned
from derive import derive, load, parse
from derive.errors import OpError
from derive.ops import names

ROOT = Path(__file__).resolve().parent.parent / "generated"


def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except (OpError, ValueError, OSError, RuntimeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="python -m codegen", description="From equations to certified kernels.")
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    all_ops = commands.add_parser("derive", help="derive, certify and emit the whole catalogue into generated/")
    all_ops.set_defaults(run=run_derive)
    check = commands.add_parser("check", help="compare generated/ with what would be generated")
    check.set_defaults(run=run_check)
    one = commands.add_parser("emit", help="derive, certify and emit an op of your own")
    one.add_argument("file", type=Path, help="a text file with the op's equations")
    one.add_argument("--out", type=Path, required=True, help="the folder to write to")
    one.add_argument("--backend", default=",".join(BACKENDS), help="comma-separated (default: %(default)s)")
    one.set_defaults(run=run_emit)
    loops = commands.add_parser("schedule", help="show the loops of an op's native kernels, and the bytes they move")
    loops.add_argument("op", help="an op of the catalogue, or a text file with equations")
    loops.set_defaults(run=run_schedule)
    notebook = commands.add_parser("notebook", help="write and execute the exercise as a notebook")
    notebook.set_defaults(run=run_notebook)
    return top


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
    native = _native_errors(built, files)
    written, removed = write_owned(files, ROOT)
    print(table(built, native))
    print(f"\n{len(files)} files: {written} written, {removed} removed, the others unchanged.")
    return 0


def _native_errors(built: list[Built], files: dict[str, str]) -> dict[str, float] | None:
    try:
        from codegen.verify import native_errors
    except ImportError:  # torch is not installed: there is nothing to compare with
        return None
    return native_errors([b.kernel for b in built], files)


def run_check(options: argparse.Namespace) -> int:
    files, _ = generate()
    text, changed = differences(files, ROOT)
    if changed:
        print(text)
        print(f"\n{changed} files differ from what is generated; `make derive` writes them.", file=sys.stderr)
    return 1 if changed else 0


def run_emit(options: argparse.Namespace) -> int:
    built = emit(options.file.read_text(encoding="utf-8"), options.out, backends=options.backend.split(","))
    native = _native_errors([built], built.files | runtime_files()) if "native" in options.backend.split(",") else None
    print(table([built], native))
    return 0


def run_schedule(options: argparse.Namespace) -> int:
    file = Path(options.op)
    if options.op not in names() and not file.is_file():
        raise ValueError(f"no op '{options.op}' in the catalogue, and no file of that name; known: {', '.join(names())}")
    op = load(options.op) if options.op in names() else parse(file.read_text(encoding="utf-8"))
    print(describe(plan(derive(op))))
    return 0


def run_notebook(options: argparse.Namespace) -> int:
    from codegen.notebook import main as notebook

    return int(notebook())


if __name__ == "__main__":
    sys.exit(main())
