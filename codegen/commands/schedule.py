"""``schedule``: the loops of an op's kernels, and the bytes that they move."""

from __future__ import annotations

import argparse
from typing import Any

from codegen.backends.discovery import discovered
from codegen.plan import plan
from derive import derive
from derive.meant import OP, meant_op


def add(commands: Any) -> None:
    scheduled = ", ".join(b.title for b in discovered().values() if b.scheduled)
    loops = commands.add_parser("schedule", help=f"show the loops of an op's kernels ({scheduled}), and the bytes they move")
    loops.add_argument("op", help=OP)
    loops.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    kernel = plan(derive(meant_op(options.op)))
    print("\n\n".join(b.schedule(kernel) for b in discovered().values() if b.scheduled))
    return 0
