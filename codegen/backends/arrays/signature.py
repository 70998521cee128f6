"""How a differentiable op is called, and how names are listed."""

from __future__ import annotations

from collections.abc import Sequence

from derive import syntax as st
from derive.language.unicode import declared

__all__ = ["listed", "shapes", "signature", "tupled"]


def signature(op: st.Op) -> str:
    """The parameters of the op: its inputs and its constants."""
    constants = [f"{c.name}={c.default}" if c.default else c.name for c in op.constants]
    return ", ".join([*(t.name for t in op.inputs), *constants])


def shapes(op: st.Op) -> str:
    """The inputs with their axes: ``x[n, d], gamma[d]``."""
    return ", ".join(declared(op, t.name, t.axes) for t in op.inputs)


def tupled(names: Sequence[str]) -> str:
    """Names as the source of a tuple."""
    return f"({listed(names)})"


def listed(names: Sequence[str]) -> str:
    """Names on the left of an assignment from a tuple."""
    return f"{names[0]}," if len(names) == 1 else ", ".join(names)
