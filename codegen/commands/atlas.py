"""``atlas``: a page for each op, to be looked at in a browser."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from codegen.commands.places import ATLAS, NODE
from codegen.write import write_files
from derive import Op, load
from derive.ops import known, names, variants


def add(commands: Any) -> None:
    atlas = commands.add_parser("atlas", help="write a page for each op, to be looked at in a browser")
    atlas.add_argument("ops", nargs="*", metavar="OP", help="an op of the catalogue (default: all)")
    atlas.add_argument("--out", type=Path, default=ATLAS, help="the folder to write to (default: generated/html)")
    atlas.add_argument("--node", type=Path, default=NODE, help="the folder whose node_modules holds KaTeX (default: .node)")
    atlas.add_argument("--quick", action="store_true", help="measure errors at fewer points")
    atlas.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from codegen.tools.atlas.book import pages
    from codegen.tools.atlas.explanations import explanations
    from codegen.tools.atlas.files import atlas_files

    if unknown := sorted(set(options.ops) - set(names())):
        raise ValueError(f"no op '{unknown[0]}' in the catalogue{known(unknown[0])}")
    chosen = [load(name) for name in sorted((*names(), *variants())) if load(name).base in (options.ops or names())]
    made = pages(chosen, _measured(chosen, options.quick))
    files = atlas_files(made, explanations(), options.node)
    written = write_files(files, options.out)
    if options.out == ATLAS and not options.ops:  # there may be pages of ops that no longer exist
        for page in sorted(ATLAS.glob("*.html")):
            if page.name not in files:
                page.unlink()
    print(f"{len(made)} pages below {options.out}: {written} files written, the others unchanged.")
    return 0


def _measured(ops: list[Op], quick: bool) -> Callable[[Op], Sequence[Any]]:
    """The function that gives the section on an op's errors."""
    try:
        from codegen.tools.atlas.accuracy import accuracy_sections
    except ImportError:  # torch, beside whose errors they are shown, is missing
        return lambda op: ()
    found = accuracy_sections(ops, quick)
    return lambda op: [found[op.name]] if op.name in found else []
