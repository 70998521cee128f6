"""Packed axes: one axis of the caller's tensor that is several axes of the equations.

The ``W1[(b, e), u]`` of a signature has two axes for the caller, the first of them ``b`` times ``e`` long, and three for the
equations. Only what callers see is packed: arguments, results, and the values of names that the author packed.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from derive.adjoint_names import primal_name

__all__ = ["Packing", "Slot", "Slots", "solved"]

#: One axis of the caller's tensor: the axes of the equations that it packs, the slowest first; mostly a single one.
Slot = tuple[str, ...]
Slots = tuple[Slot, ...]


@dataclass(frozen=True, slots=True)
class Packing:
    """The tensors of an op that pack axes, and the lengths that its signature gives.

    ``tensors`` has the slots of each tensor that packs any. ``lengths`` has the length of an axis, ``(h = heads, f)``, as a
    number or as the name of a constant.
    """

    tensors: tuple[tuple[str, Slots], ...] = ()
    lengths: tuple[tuple[str, int | str], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.tensors or self.lengths)

    def packs(self, name: str) -> bool:
        """Whether a tensor, or the one whose adjoint has that name, packs axes."""
        return any(n in (name, primal_name(name)) for n, _ in self.tensors)

    def slots(self, name: str, axes: Iterable[str]) -> Slots:
        """The caller's axes of a tensor with these axes. An adjoint is packed as its tensor is."""
        known = dict(self.tensors)
        return known.get(name) or known.get(primal_name(name)) or tuple((a,) for a in axes)

    def shape(self, name: str, axes: Iterable[str], sizes: Mapping[str, int]) -> tuple[int, ...]:
        """The caller's shape of a tensor with these axes."""
        return tuple(math.prod(sizes[axis] for axis in slot) for slot in self.slots(name, axes))

    def extended(self, tensors: Mapping[str, tuple[str, ...]]) -> Packing:
        """The packing where these tensors are packed too, wherever they have axes side by side that others pack."""
        groups = {slot for _, slots in self.tensors for slot in slots if len(slot) > 1}
        found = {n: _grouped(axes, groups) for n, axes in tensors.items() if groups}
        return Packing(self.tensors + tuple((n, s) for n, s in found.items() if len(s) < len(tensors[n])), self.lengths)

    def unpacked(self, shapes: Mapping[str, tuple[int, ...]], known: Mapping[str, int]) -> dict[str, int]:
        """The lengths that follow from callers' shapes of the tensors that pack axes, and from those ``known``.

        A quotient by a length 0 is 0, and one that leaves a rest is rounded down.
        """
        found, packs = dict(known), [(slots, shapes[n]) for n, slots in self.tensors if n in shapes]
        for slots, shape in packs * len(packs):
            for slot, length in zip(slots, shape, strict=True):
                missing = [a for a in slot if a not in found]
                if len(missing) == 1:
                    found[missing[0]] = length // max(math.prod(found[a] for a in slot if a in found), 1)
        return found

    def constants(self) -> frozenset[str]:
        """The constants that are lengths, and therefore positive integers."""
        return frozenset(v for _, v in self.lengths if isinstance(v, str))

    def fixed(self, constants: Mapping[str, float]) -> dict[str, int]:
        """The lengths that the signature gives, where the constants have these values."""
        return {a: int(constants[v]) if isinstance(v, str) else v for a, v in self.lengths}


def _grouped(axes: tuple[str, ...], groups: Collection[Slot]) -> Slots:
    """The axes, with those side by side that are one of the groups as one slot."""
    slots: list[Slot] = []
    k = 0
    while k < len(axes):
        slot = next((g for g in sorted(groups, key=len, reverse=True) if axes[k : k + len(g)] == g), (axes[k],))
        slots.append(slot)
        k += len(slot)
    return tuple(slots)


def solved(slots: Iterable[Slot], known: Collection[str], divisors: Collection[str] | None = None) -> set[str]:
    """The axes whose lengths follow from those of the ``known`` axes and of tensors with these slots.

    The length that a packed axis leaves is a quotient. It is divided by the lengths of ``divisors``; by any if there are none.
    """
    found, slots = set(known), list(slots)
    while new := {a for s in slots if (a := _left(s, found, divisors))}:
        found |= new
    return found


def _left(slot: Slot, known: Collection[str], divisors: Collection[str] | None) -> str:
    """The one axis of a slot whose length is not known; "" where there are none or several, or the others do not divide."""
    missing = [a for a in slot if a not in known]
    divides = divisors is None or all(a in divisors for a in slot if a in known)
    return missing[0] if len(missing) == 1 and divides else ""
