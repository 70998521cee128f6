"""Recognise a cumulative sum: ``sum[j](where(j <= i, x[j], 0))`` of terms without the index ``i``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from codegen.recognise.window import at_most_0
from derive import syntax as st
from derive.terms.forms import Part, combined

__all__ = ["Running"]


@dataclass(frozen=True)
class Running:
    """The sum of ``body`` over ``axis`` up to each position of it, or, if ``falling``, from each position on."""

    axis: str
    body: st.Tree
    falling: bool

    @staticmethod
    def of(tree: st.Tree, root: Mapping[str, str]) -> Running | None:
        """The parts; None where the tree is something else. ``root`` has one axis for all axes of one length."""
        match tree:
            case st.Reduce("sum", index, st.Call("where", (st.Compare() as row, body, other))) if other == st.NEUTRAL["sum"]:
                form = at_most_0(row)
            case _:
                return None
        free, read = set(st.free_indices(tree)), set(st.free_indices(body))
        pairs = [(i, j) for j in index for i in free if _same(i, j, root) and j in read and i not in read]
        for i, j in pairs:
            for falling, (late, early) in enumerate(((i, j), (j, i))):
                if form == combined([(Part(early), 1), (Part(late), -1)]):
                    rest = tuple(k for k in index if k != j)
                    terms = st.rename(body, {j: i})
                    return Running(i, st.Reduce("sum", rest, terms) if rest else terms, bool(falling))
        return None


def _same(i: str, j: str, root: Mapping[str, str]) -> bool:
    """Whether the axes of two indices have one length."""
    one, other = st.axis_of(i), st.axis_of(j)
    return root.get(one, one) == root.get(other, other)
