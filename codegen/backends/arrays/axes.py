"""The axes of an array expression, and its alignment with other expressions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from codegen.backends.arrays.spelling import ADD, ATOM, COMPARE, MUL, NEG, POW, Text, item


class Kept(NamedTuple):
    """A value with every reduced axis kept at length 1; ``layout`` has None in the place of such an axis."""

    text: Text
    layout: tuple[str | None, ...]


class Value(NamedTuple):
    """The source of an array expression, and its axes in order.

    ``kept`` is the same value with reduced axes kept, used where it is aligned without further indexing. ``number`` says that
    the value is a Python number, which does not decide the dtype of a result and cannot be an argument of an array function.
    ``far`` says that this number may lie beyond the range of float32.
    """

    text: Text
    axes: tuple[str, ...] = ()
    kept: Kept | None = None
    number: bool = False
    far: bool = False

    @property
    def code(self) -> str:
        return self.text.code


def star_first(axes: Iterable[str], star: str) -> tuple[str, ...]:
    """The axes with ``*s`` in front: ``*s`` stands for any number of axes, and broadcasting aligns the axes behind it."""
    return tuple(sorted(axes, key=lambda a: a != star))


def positions(axes: Sequence[str], of: Sequence[str], star: str) -> list[int]:
    """The positions of ``axes`` in ``of``, counted from the end if ``of`` begins with ``*s``, whose rank is not known."""
    shift = -len(of) if star in of else 0
    return sorted(of.index(a) + shift for a in axes)


def aligned(value: Value, target: Sequence[str], star: str) -> Text:
    """The value's source indexed so that it broadcasts against an array with the axes ``target``."""
    if value.kept and tuple(target) != value.axes and _fits(value.kept.layout, value.axes, target, star):
        return value.kept.text
    inside = [t for t in target if t in value.axes]
    assert tuple(inside) == value.axes, f"{value.axes} are not in the order of {tuple(target)}"
    slots = ["..." if t == star else ":" if t in value.axes else "None" for t in target]
    while slots and (slots[0] == "None" or (slots[0] == "..." and star not in value.axes)):
        slots.pop(0)
    return item(value.text, slots) if inside and "None" in slots else value.text


def _fits(layout: tuple[str | None, ...], axes: tuple[str, ...], target: Sequence[str], star: str) -> bool:
    """Whether a layout with kept axes broadcasts against the target. No kept axis may meet ``*s``, which may have rank 0."""
    tail = list(target)[-len(layout) :]
    if len(tail) < len(layout) or any(a in axes for a in list(target)[: -len(layout)]):
        return False
    return all(t not in (*axes, star) if slot is None else slot == t for slot, t in zip(layout, tail, strict=True))


__all__ = [
    "ADD",
    "ATOM",
    "COMPARE",
    "MUL",
    "NEG",
    "POW",
    "Kept",
    "Text",
    "Value",
    "aligned",
    "positions",
    "star_first",
]
