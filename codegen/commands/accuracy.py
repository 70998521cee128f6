"""``accuracy``: the errors of an op's kernels in units in the last place."""

from __future__ import annotations

import argparse
from typing import Any

from codegen.commands.parser import backend_names, offered
from derive.meant import add_op, op_of


def add(commands: Any) -> None:
    errors = commands.add_parser(
        "accuracy",
        help="print the errors of an op's kernels in ULP against mpmath, beside the framework's own op",
        description="Errors in ULP of value and gradients, over a dtype's whole range or at hard inputs. Nothing is judged.",
    )
    errors.ending = offered
    add_op(errors)
    errors.add_argument("--quick", action="store_true", help="fewer points and shorter rows")
    errors.add_argument("--dtype", default="float32,float64", help="comma-separated (default: %(default)s)")
    errors.add_argument("--backend", default=backend_names(), help="comma-separated (default: %(default)s)")
    errors.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from codegen.tools.accuracy import accuracy

    print(accuracy(op_of(options), options.dtype.split(","), options.backend.split(","), options.quick))
    return 0
