"""The choices that turn flat terms into trees."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from derive import syntax as st
from derive.terms.factoring import DEFAULT_SIZE
from derive.terms.sums import Read

__all__ = ["DEFAULT", "Style"]


@dataclass(frozen=True)
class Style:
    """``rank`` orders names in products, ``size`` gives the length of an axis, ``read`` may replace a read by a tree.

    ``counts`` are the names whose values count the elements that attain a maximum: at least 1, or 0 beside NaN.
    """

    rank: Callable[[str], int] = lambda name: 0
    size: Callable[[str], int] = lambda axis: DEFAULT_SIZE
    read: Callable[[Read], st.Tree | None] = lambda read: None
    counts: frozenset[str] = frozenset()


DEFAULT = Style()
