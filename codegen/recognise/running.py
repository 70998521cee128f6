"""Recognise a cumulative sum or product: ``sum[j](where(j <= i, x[j], 0))`` of terms without the index ``i``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from codegen.recognise.window import at_most_0
from derive import syntax as st
from derive.terms.forms import Part, combined

__all__ = ["Running"]


@dataclass(frozen=True)
class Running:
    """The reduction ``kind`` of ``body`` over ``axis`` up to each position of it, or, if ``falling``, from each position on.

    ``kind`` is "sum" or "prod". If ``strict``, the position itself takes no part.
    """

    kind: str
    axis: str
    body: st.Tree
    falling: bool
    strict: bool

    @staticmethod
    def of(tree: st.Tree, root: Mapping[str, str]) -> Running | None:
        """The parts of a cumulative sum or product; None where the tree is something else.

        ``root`` has one axis for all axes of one length.
        """
        if not isinstance(tree, st.Reduce) or tree.kind not in ("sum", "prod"):
            return None
        rows, body = _rows(tree)
        free = set(st.free_indices(tree))
        for row in rows:
            rest = body
            for other in rows:
                rest = rest if other is row else st.Call("where", (other, rest, st.NEUTRAL[tree.kind]))
            read = set(st.free_indices(rest))
            for i, j in ((i, j) for j in tree.index for i in free if _same(i, j, root) and j in read and i not in read):
                if (found := _order(row, i, j)) is not None:
                    over = tuple(k for k in tree.index if k != j)
                    terms = st.rename(rest, {j: i})
                    return Running(tree.kind, i, st.Reduce(tree.kind, over, terms) if over else terms, *found)
        return None


def _rows(tree: st.Reduce) -> tuple[list[st.Compare], st.Tree]:
    """The conditions under which terms of a reduction take part, and the terms."""
    rows, body = list[st.Compare](), tree.body
    while isinstance(body, st.Call) and body.head == "where" and body.args[2] == st.NEUTRAL[tree.kind]:
        row, inner, _ = body.args
        if not isinstance(row, st.Compare):
            break
        rows.append(row)
        body = inner
    return rows, body


def _order(row: st.Compare, i: str, j: str) -> tuple[bool, bool] | None:
    """Whether a row says that ``j`` is not before ``i``, and whether it excludes that they are equal; None for other rows."""
    form = at_most_0(row)
    for falling, (late, early) in enumerate(((i, j), (j, i))):
        for strict in (0, 1):
            if form == combined([(Part(early), 1), (Part(late), -1)], strict):
                return bool(falling), bool(strict)
    return None


def _same(i: str, j: str, root: Mapping[str, str]) -> bool:
    """Whether the axes of two indices have one length."""
    one, other = st.axis_of(i), st.axis_of(j)
    return root.get(one, one) == root.get(other, other)
