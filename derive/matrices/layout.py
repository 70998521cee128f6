"""Which tensors of a matrix form are laid out otherwise than the caller has them: a reshape, of which the form says nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from derive import syntax as st
from derive.matrices.forms import Axes, MatrixForm, Name, leaves
from derive.packing import Packing

__all__ = ["View", "views"]


@dataclass(frozen=True)
class View:
    """A tensor whose axes are taken together in these groups, one for the rows and one for the columns."""

    name: str
    groups: tuple[Axes, ...]

    def __str__(self) -> str:
        groups = (f"({','.join(g)})" if len(g) > 1 else g[0] for g in self.groups)
        return f"{self.name} as [{','.join(groups)}]"


def views(name: str, form: MatrixForm, packing: Packing) -> tuple[View, ...]:
    """The tensors of the line ``name`` in matrix form, itself included, that have other axes for the caller."""
    laid = [
        (leaf.read.name, leaf.read.index, (leaf.rows, leaf.columns)) for leaf in leaves(form.right) if isinstance(leaf, Name)
    ]
    laid.append((name, (*form.rows, *form.columns), (form.rows, form.columns)))
    found = (View(n, _axes(groups)) for n, index, groups in laid if _reshaped(n, index, groups, form, packing))
    return tuple(dict.fromkeys(found))


def _axes(groups: tuple[Axes, Axes]) -> tuple[Axes, ...]:
    return tuple(tuple(map(st.axis_of, g)) for g in groups if g)


def _reshaped(name: str, index: tuple[st.Index, ...], groups: tuple[Axes, Axes], form: MatrixForm, packing: Packing) -> bool:
    own = [i for i in index if isinstance(i, str)]
    slots = [tuple(i for i in slot if i not in form.stack) for slot in _slots(name, own, packing)]
    return [s for s in slots if s] != [g for g in groups if g]


def _slots(name: str, index: list[str], packing: Packing) -> Iterator[Axes]:
    """The indices of a read in the groups that are one axis for the caller."""
    at = 0
    for slot in packing.slots(name, index):
        yield tuple(index[at : at + len(slot)])
        at += len(slot)
