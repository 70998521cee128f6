"""``derive`` writes what is generated from the catalogue; ``check`` compares it with what is there."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from typing import Any

from tqdm import tqdm

from codegen.build import COMMAND, Built, build_catalogue, package_files, with_compiled
from codegen.commands.places import GENERATED
from codegen.emit import formatted
from codegen.table import table
from codegen.tools.makemore.files import exercise_files
from codegen.write import differences, write_owned
from derive import command
from derive.errors import OpError


def add(commands: Any) -> None:
    written = commands.add_parser("derive", help=f"derive, certify and emit the whole catalogue into {GENERATED.name}/")
    written.set_defaults(run=run_derive)
    check = commands.add_parser("check", help=f"compare {GENERATED.name}/ with what would be generated")
    check.set_defaults(run=run_check)


def generate() -> tuple[dict[str, str], list[Built]]:
    """Every owned file as it should be; OpError if an op fails or does not certify."""
    built = build_catalogue(_progress)
    failed = [b for b in built if not b.certified]
    if failed:
        raise OpError("; ".join(b.certificate for b in failed), op=", ".join(b.op for b in failed))
    files = {name: text for b in built for name, text in b.files.items()}
    files |= package_files(built)
    files |= exercise_files(COMMAND)
    return formatted(files), built


def _progress(stream: Iterator[Built], count: int) -> Iterator[Built]:
    bar = tqdm(total=count, unit="op", disable=None)
    for built in stream:
        bar.set_postfix_str(built.op)
        bar.update()
        yield built
    bar.close()


def run_derive(options: argparse.Namespace) -> int:
    files, built = generate()
    built = with_compiled(built, files)
    written, removed = write_owned(files, GENERATED)
    print(table(built))
    print(f"\n{len(files)} files: {written} written, {removed} removed, the others unchanged.")
    return 0


def run_check(options: argparse.Namespace) -> int:
    files, _ = generate()
    text, changed = differences(files, GENERATED)
    if changed:
        command.show(text)
        print(f"\n{changed} files differ from what is generated; `make derive` writes them.", file=sys.stderr)
    return 1 if changed else 0
