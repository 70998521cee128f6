"""Under which names the toolkit is imported and run: its own folders in a checkout, one name where it is installed.

An installed package has one name of its own, so that it stands beside other people's without a word taken from them. Texts
that tell a reader what to type ask here.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["HOME", "INSTALLED", "KERNELS", "program"]

#: The name of the distribution as a module.
NAME = "backprop_ninja"
#: Whether this was imported from below that name.
INSTALLED = __name__.partition(".")[0] == NAME
#: The package that holds the catalogue's kernels, a package for each backend in it.
KERNELS = NAME if INSTALLED else "generated"
#: The checkout; where the toolkit is installed, the folder one works in.
HOME = Path() if INSTALLED else Path(__file__).resolve().parents[1]


def program(package: str) -> str:
    """What starts the command line that ``python -m package`` starts in a checkout."""
    return "backprop-ninja" if INSTALLED else f"python -m {package}"
