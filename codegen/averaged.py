"""Means under equality rows as sums over their numbers of elements: the one form that backends compute without a mask.

``mean[l, k](where(l == i + k, x[l]*w[k], 0))`` is ``sum[l, k](where(l == i + k, x[l]*w[k], 0))/(size(l)*size(k))``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from codegen.program import Statement
from codegen.recognise.window import Window
from derive import syntax as st

__all__ = ["averaged"]


def averaged(statements: Iterable[Statement], ranked: Sequence[str]) -> Iterator[Statement]:
    """The statements with such means as sums; ``ranked`` are the axes, the longest first."""

    def change(tree: st.Tree) -> st.Tree:
        if isinstance(tree, st.Reduce) and tree.kind == "mean":
            total = replace(tree, kind="sum")
            if Window.of(total, ranked) is not None:
                count = st.product(tuple(st.Size(st.axis_of(i)) for i in tree.index))
                return st.Div(st.rebuild(total, change), count)
        return st.rebuild(tree, change)

    for s in statements:
        tree = change(s.tree)
        yield s if tree == s.tree else replace(s, tree=tree)
