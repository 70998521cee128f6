"""How trees are made of flat terms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from derive import syntax as st
from derive.terms.factoring import DEFAULT_SIZE
from derive.terms.sums import Read

__all__ = ["DEFAULT", "Style"]


@dataclass(frozen=True)
class Style:
    """How names are ordered and how long axes are taken to be; the tree of a read can be replaced.

    ``counts`` are the names that say how many entries share a maximum: at least 1, or 0 beside NaN.
    """

    rank: Callable[[str], int] = lambda name: 0
    size: Callable[[str], int] = lambda axis: DEFAULT_SIZE
    read: Callable[[Read], st.Tree | None] = lambda read: None
    counts: frozenset[str] = frozenset()


DEFAULT = Style()
