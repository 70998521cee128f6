"""The command ``backprop-ninja`` of an installation: what ``python -m derive`` and ``python -m codegen`` offer, together."""

from __future__ import annotations

import sys

from codegen.__main__ import add_commands
from codegen.commands.parser import run

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns its exit status."""
    description = "Equations in; certified gradients, their derivation and kernels out."
    return run("backprop-ninja", description, (add_commands,), arguments)


if __name__ == "__main__":
    sys.exit(main())
