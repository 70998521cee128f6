"""The names under which the toolkit is imported and run.

A checkout has the packages ``derive``, ``codegen`` and ``generated``. An installed toolkit is a single package, so that its
folders' names cannot collide with other people's packages. Every text that tells a reader what to type takes the name from
here.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["HOME", "INSTALLED", "KERNELS", "program"]

#: The name of the distribution as a module.
NAME = "backprop_ninja"
#: Whether this module is part of the installed package.
INSTALLED = __name__.partition(".")[0] == NAME
#: The package of the catalogue's kernels. It has a subpackage for each backend.
KERNELS = NAME if INSTALLED else "generated"
#: The root of the checkout. Where the toolkit is installed, it is the current folder.
HOME = Path() if INSTALLED else Path(__file__).resolve().parents[1]


def program(package: str) -> str:
    """The command that does what ``python -m package`` does in a checkout."""
    return "backprop-ninja" if INSTALLED else f"python -m {package}"
