"""The lengths of axes as statements at the top of an exercise's function."""

from __future__ import annotations

from derive import syntax as st

__all__ = ["axis_lengths"]


def axis_lengths(op: st.Op) -> dict[str, str]:
    """For each axis the statement that gives its length a name: ``n, b = x.shape`` for ``n`` and ``b``.

    The statement reads an input or a value of the forward pass. It is missing for an axis that stands behind ``*s`` or inside a
    packed axis wherever it stands.
    """
    held = {t.name: t.axes for t in op.inputs} | {e.name: e.index for e in op.equations}
    found: dict[str, str] = {}
    for name, axes in held.items():
        slots = op.packing.slots(name, axes)
        plain = [slot[0] for slot in slots if len(slot) == 1 and slot[0] not in op.stars]
        new = [a for a in plain if a not in found]
        if len(slots) > 1 and new == plain and len(new) == len(slots) == len(set(new)):
            found |= dict.fromkeys(new, f"{', '.join(new)} = {name}.shape")
            continue
        for position, slot in enumerate(slots):
            if any(a in op.stars for a in slot):
                break
            if len(slot) == 1 and slot[0] in new:
                found.setdefault(slot[0], f"{slot[0]} = {name}.shape[{position}]")
    return found
