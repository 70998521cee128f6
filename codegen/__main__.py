"""The command line: ``python -m codegen derive | check | emit | notebook``. Only this module writes files."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from tqdm import tqdm

from codegen.build import BACKENDS, COMMAND, Built, build_catalogue, package_files
from codegen.emit import emit, formatted
from codegen.exercise import exercise_files
from codegen.table import table
from codegen.write import differences, write_owned
from derive.errors import OpError

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
    derive = commands.add_parser("derive", help="derive, certify and emit the whole catalogue into generated/")
    derive.set_defaults(run=run_derive)
    check = commands.add_parser("check", help="compare generated/ with what would be generated")
    check.set_defaults(run=run_check)
    one = commands.add_parser("emit", help="derive, certify and emit an op of your own")
    one.add_argument("file", type=Path, help="a text file with the op's equations")
    one.add_argument("--out", type=Path, required=True, help="the folder to write to")
    one.add_argument("--backend", default=",".join(BACKENDS), help="comma-separated (default: %(default)s)")
    one.set_defaults(run=run_emit)
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
    written, removed = write_owned(files, ROOT)
    print(table(built))
    print(f"\n{len(files)} files: {written} written, {removed} removed, the others unchanged.")
    return 0


def run_check(options: argparse.Namespace) -> int:
    files, _ = generate()
    text, changed = differences(files, ROOT)
    if changed:
        print(text)
        print(f"\n{changed} files differ from what is generated; `make derive` writes them.", file=sys.stderr)
    return 1 if changed else 0


def run_emit(options: argparse.Namespace) -> int:
    built = emit(options.file.read_text(encoding="utf-8"), options.out, backends=options.backend.split(","))
    print(table([built]))
    return 0


def run_notebook(options: argparse.Namespace) -> int:
    from codegen.notebook import main as notebook

    return int(notebook())


if __name__ == "__main__":
    sys.exit(main())
