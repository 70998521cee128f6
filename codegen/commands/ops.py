"""The op that an argument of a command means."""

from __future__ import annotations

from pathlib import Path

from derive import Op, command, parse
from derive.ops import find, known

__all__ = ["OP", "meant_op"]

#: The help of an argument that means an op.
OP = "an op of the catalogue, or a text file with equations"


def meant_op(what: str) -> Op:
    """An op of the catalogue, or one in a text file (ValueError where there is neither)."""
    if find(what) is None and not command.is_path(what):
        raise ValueError(f"no op '{what}' in the catalogue, and no file of that name{known(what)}")
    return find(what) or parse(command.read_text(Path(what)))
