"""What the axes of an op's equations are for the caller: which of them are packed into one axis of an array."""

from __future__ import annotations

from derive.packing import Slots
from derive.syntax import Op

__all__ = ["packed_lines"]


def packed_lines(op: Op) -> list[str]:
    """A line for the tensors that pack the same axes: ``embcat: [N, B*E], axis 1 packs (b, e)``."""
    alike: dict[Slots, list[str]] = {}
    for name, slots in op.packing.tensors:
        alike.setdefault(slots, []).append(name)
    return [f"{', '.join(names)}: {_shape(op, slots)}, {_packs(slots)}" for slots, names in alike.items()]


def _shape(op: Op, slots: Slots) -> str:
    lengths = ("*".join(f"*{a.upper()}" if a in op.stars else a.upper() for a in slot) for slot in slots)
    return f"[{', '.join(lengths)}]"


def _packs(slots: Slots) -> str:
    return ", ".join(f"axis {at} packs ({', '.join(slot)})" for at, slot in enumerate(slots) if len(slot) > 1)
