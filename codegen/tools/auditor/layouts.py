"""How callers lay out their arrays: axes in another order, merged into one, or kept with length 1.

In the systems a name has its own axes, and each ``*s`` is a single axis. A :class:`Layout` describes the caller's array for the
name, by a group of axes for every axis of the array. ``1`` stands for an axis of length 1. ``1s`` stands for as many such axes
as the array has for ``*s``, which was reduced and is kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from derive import syntax as st

__all__ = ["Layout", "Lengths", "declared", "kept", "plain", "with_gradients"]

#: The lengths of an axis in the caller's arrays: one length, or any number of them for ``*s``.
Lengths = Callable[[str], tuple[int, ...]]


@dataclass(frozen=True)
class Layout:
    """The axes of a name, and the groups of these axes that are the axes of the caller's array."""

    axes: tuple[str, ...]
    groups: tuple[tuple[str, ...], ...]

    @property
    def order(self) -> tuple[str, ...]:
        return tuple(a for group in self.groups for a in group if not a.startswith("1"))

    def shape(self, lengths: Lengths) -> tuple[int, ...]:
        out: list[int] = []
        for group in self.groups:
            found = [n for a in group for n in (lengths(a) if not a.startswith("1") else _ones(a, lengths))]
            out += found if len(group) == 1 else [prod(found)]
        return tuple(out)

    def arranged(self, value: Any, lengths: Lengths) -> np.ndarray:
        """The caller's array of a value that has the name's own axes."""
        order = [self.axes.index(a) for a in self.order]
        return np.transpose(np.asarray(value), order).reshape(self.shape(lengths))

    def restored(self, array: np.ndarray, lengths: Lengths) -> np.ndarray | None:
        """The value with the name's own axes, each ``*s`` expanded; None where the array has another shape."""
        if array.shape != self.shape(lengths):
            return None
        value = array.reshape([prod(lengths(a)) for a in self.order])
        value = value.transpose([self.order.index(a) for a in self.axes])
        return value.reshape(plain(self.axes).shape(lengths))

    def text(self, stars: frozenset[str] = frozenset()) -> str:
        """The layout as it is declared: ``[n, *s, 1]``."""

        def axis(name: str) -> str:
            return f"*{name}" if st.axis_of(name) in stars else name

        return f"[{', '.join('1' if g[0].startswith('1') else '*'.join(map(axis, g)) for g in self.groups)}]"


def _ones(axis: str, lengths: Lengths) -> tuple[int, ...]:
    """The lengths of a kept axis: a 1, or for ``*s`` a 1 for each axis that it stands for."""
    return tuple(1 for _ in lengths(axis[1:])) if axis[1:] else (1,)


def plain(axes: tuple[str, ...]) -> Layout:
    """The layout in which every axis is by itself, in order."""
    return Layout(axes, tuple((a,) for a in axes))


def declared(text: str, axes: Mapping[str, tuple[str, ...]]) -> tuple[str, Layout]:
    """The name and the layout in ``W[h, k]``, ``gamma[1, d]`` or ``embcat[n, b*e]``. ValueError where it does not fit."""
    found = re.fullmatch(r"\s*(\w+)\s*\[(.*)\]\s*", text)
    if not found:
        raise ValueError(f"'{text}' is no layout; expected a name with its axes, as in W[h, k] or gamma[1, d]")
    name, inside = found[1], found[2]
    if name not in axes:
        raise ValueError(f"'{text}': there is no '{name}'; there are: {', '.join(axes)}")
    groups = []
    for part in (p.strip() for p in inside.split(",")) if inside.strip() else ():
        groups.append(tuple(w.strip() for w in part.removeprefix("*").split("*")))
    layout = Layout(axes[name], tuple(groups))
    if sorted(layout.order) != sorted(axes[name]):
        raise ValueError(f"'{text}': {name} has the axes {plain(axes[name]).text()}, each of which is to be there once")
    return name, layout


def with_gradients(layouts: Mapping[str, Layout]) -> dict[str, Layout]:
    """The layouts, and the layouts of gradients: a gradient has the layout of its name."""
    return {st.adjoint_name(n): x for n, x in layouts.items()} | dict(layouts)


def kept(op: st.Op, equations: Iterable[st.Equation]) -> dict[str, Layout]:
    """The layouts of the names that keep the axes over which they were reduced, with length 1, as by ``keepdims``.

    ``equations`` are the equations of a forward, in order. A contraction, such as a matrix product, keeps no axes.
    """
    frames: dict[str, tuple[str, ...]] = {t.name: t.axes for t in op.inputs}
    outputs = {t.name for t in op.outputs}
    layouts = {}
    for e in equations:
        frame = _frame(e.rhs, frames)
        fits = frame is not None and tuple(a for a in frame if not a.startswith("1")) == e.index
        frames[e.name] = frame if fits and frame is not None else e.index
        if len(frames[e.name]) > len(e.index) and e.name not in outputs:
            layouts[e.name] = Layout(e.index, tuple((a,) for a in frames[e.name]))
    return layouts


def _frame(tree: st.Tree, frames: Mapping[str, tuple[str, ...]]) -> tuple[str, ...] | None:
    """The axes of an expression's value if reduced axes are kept, marked by ``1``; None where nobody keeps them."""
    match tree:
        case st.Read(name, index):
            slots = iter(index)
            read = [a if a.startswith("1") else next(slots) for a in frames.get(name, ())]
            return tuple(i for i in read if isinstance(i, str)) if all(isinstance(i, str) for i in read) else None
        case st.Reduce(_, index, body):
            inside = _frame(body, frames)
            if inside is None or not set(index) <= set(inside):
                return None
            return tuple(f"1{st.axis_of(a)}" if a in index else a for a in inside)
    parts = [f for c in st.children(tree) if (f := _frame(c, frames)) is not None]
    widest = max(parts, key=lambda f: (len(_real(f)), len(f)), default=None)
    return None if widest is None or any(not _real(f) <= set(widest) for f in parts) else widest


def _real(frame: tuple[str, ...]) -> set[str]:
    return {a for a in frame if not a.startswith("1")}
