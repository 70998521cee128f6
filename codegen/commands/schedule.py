"""``schedule``: the loops of an op's kernels, and the bytes that they move."""

from __future__ import annotations

import argparse
from typing import Any

from codegen.backends.discovery import discovered
from codegen.plan import plan
from derive import derive
from derive.meant import add_op, op_of


def add(commands: Any) -> None:
    scheduled = ", ".join(b.title for b in discovered().values() if b.scheduled)
    loops = commands.add_parser("schedule", help=f"show the loops of an op's kernels ({scheduled}), and the bytes they move")
    add_op(loops)
    loops.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    kernel = plan(derive(op_of(options)))
    print("\n\n".join(b.schedule(kernel) for b in discovered().values() if b.scheduled))
    return 0
