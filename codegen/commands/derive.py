"""``derive`` writes what is generated from the catalogue; ``check`` compares it with what is there."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from tqdm import tqdm

from codegen.backends.backend import Files
from codegen.backends.discovery import discovered
from codegen.build import COMMAND, Row, build, package_files, runtime_files, with_compiled
from codegen.chain import chain_ops
from codegen.commands.places import GENERATED, STORE
from codegen.emit import formatted
from codegen.incremental.keys import Source, engine_key, part_key
from codegen.incremental.store import Made, Store
from codegen.pool import all_cores
from codegen.table import table
from codegen.tools.makemore.files import exercise_files
from codegen.tools.picture import picture
from codegen.write import differences, write_owned
from derive import command, load
from derive.errors import OpError
from derive.ops import names, source, variants

#: The part that belongs to no op: the files of the exercise. No op can have a name with a space.
EXERCISE = "the exercise"


@dataclass(frozen=True)
class Generated:
    """Every owned file as it should be, the rows of the table, and the parts that were not taken from the store."""

    files: Files
    rows: tuple[Row, ...]
    made: tuple[str, ...]


def add(commands: Any) -> None:
    written = commands.add_parser("derive", help=f"derive, certify and emit the whole catalogue into {GENERATED.name}/")
    written.set_defaults(run=run_derive)
    check = commands.add_parser("check", help=f"compare {GENERATED.name}/ with what would be generated")
    check.set_defaults(run=run_check)
    for parser in (written, check):
        parser.add_argument("--fresh", action="store_true", help="derive every op, also those that are as they were before")


def generate(store: Store, fresh: bool = False) -> Generated:
    """What the catalogue gives; what is unchanged since the run that filled the store is taken from there unless ``fresh``.

    Raises OpError if an op fails or does not certify. What was made until then is kept in the store.
    """
    keys = _keys()
    found = {} if fresh else {name: made for name, key in keys.items() if (made := store.get(name, key))}
    todo = [name for name in keys if name not in found]
    if found:
        _said(f"{len(found)} of {len(keys)} parts are as they were before")
    try:
        for made in _progress(_all(todo), len(todo)):
            if made.row and not made.row.certified:
                raise OpError(made.row.certificate, op=made.name)
            store.put(made, keys[made.name])
            found[made.name] = made
    finally:  # what was edited meanwhile was perhaps made from the one text, perhaps from the other
        now = _keys() if todo else keys
        store.keep_only(name for name, key in keys.items() if now.get(name) == key)
    parts = [found[name] for name in keys]
    rows = tuple(p.row for p in parts if p.row)
    files = {path: text for p in parts for path, text in p.files.items()} | formatted(package_files([r.op for r in rows]))
    return Generated(files | picture(files), rows, tuple(todo))


def _keys() -> dict[str, str]:
    """The key of each op and variant, in the order of the table, and of the exercise."""
    engine, sources = engine_key(), {name: Source(*source(name)) for name in names()}
    ops = {name: [load(name).base] for name in sorted((*names(), *variants()))}
    return {part: part_key(part, engine, of, sources) for part, of in (ops | {EXERCISE: [*chain_ops()]}).items()}


def _all(parts: list[str]) -> Iterator[Made]:
    """The parts as they are made; several on all cores."""
    if len(parts) < 2:
        yield from map(make, parts)
        return
    with all_cores() as pool:
        # The longest first, so that no core waits at the end.
        yield from pool.map(make, sorted(parts, key=lambda p: -len(load(p).equations) if p != EXERCISE else 0))


def make(part: str) -> Made:
    """One part, derived, formatted and checked; the error of a failing op names it."""
    if part == EXERCISE:
        return Made(part, formatted(exercise_files(COMMAND)))
    try:
        built = build(load(part))
        files = formatted(built.files)
        (built,) = with_compiled([built], files | _runtime())
    except OpError:
        raise
    except Exception as error:
        raise OpError(f"{type(error).__name__}: {error}", op=part) from error
    return Made(part, files, built.row)


@cache
def _runtime() -> Files:
    return formatted(runtime_files(discovered()))


def _progress(stream: Iterable[Made], count: int) -> Iterator[Made]:
    """A bar on a terminal; elsewhere a line for each part."""
    bar = tqdm(total=count, unit="op", file=sys.stderr, disable=not sys.stderr.isatty() or not count)
    for number, made in enumerate(stream, 1):
        bar.set_postfix_str(made.name)
        bar.update()
        if bar.disable:
            _said(f"[{number:{len(str(count))}}/{count}] {made.name}{f': {made.row.certificate}' if made.row else ''}")
        yield made
    bar.close()


def _said(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def run_derive(options: argparse.Namespace) -> int:
    generated = generate(Store(STORE), options.fresh)
    written, removed = write_owned(generated.files, GENERATED)
    print(table(generated.rows))
    print(f"\n{len(generated.files)} files: {written} written, {removed} removed, the others unchanged.")
    return 0


def run_check(options: argparse.Namespace) -> int:
    files = generate(Store(STORE), options.fresh).files
    found = differences(files, GENERATED)
    if not found:
        print(f"All is well: the {len(files)} files of {GENERATED.name}/ are as they would be generated.")
        return 0
    command.show(*(f"{d.diff}\n" for d in found if d.diff))
    command.show(*(f"{GENERATED.name}/{d.path}: {d.what}" for d in found))
    _said(f"{len(found)} differences from what would be generated; `make derive` writes them.")
    return 1
