"""Conditions on positions, such as ``j <= i``: a function computes each in a line of its own."""

from __future__ import annotations

from collections.abc import Iterator

from derive import syntax as st

__all__ = ["masks_of"]


def masks_of(tree: st.Tree) -> Iterator[st.Compare]:
    """The comparisons of positions in an expression, each once."""
    yield from dict.fromkeys(n for n in st.walk(tree) if isinstance(n, st.Compare) and _compares_positions(n))


def _compares_positions(tree: st.Tree) -> bool:
    return any(isinstance(n, st.Position) and isinstance(n.index, str) for n in st.walk(tree))
