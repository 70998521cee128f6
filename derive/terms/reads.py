"""Indices and reads of flat terms as those of trees."""

from __future__ import annotations

from derive import syntax as st
from derive.terms.sums import (
    Hole,
    Index,
    Lookup,
    Read,
)

__all__ = ["syntax_index", "with_arguments"]


def syntax_index(index: Index) -> st.Index:
    """A named index in the syntax of trees."""
    assert not isinstance(index, (int, Hole)), "a bound index has no name here"
    if isinstance(index, Lookup):
        return st.Lookup(index.name, tuple(map(syntax_index, index.index)))
    return index


def with_arguments(tree: st.Tree, **reads: Read) -> st.Tree:
    """A tree in names without axes, with a read in the place of each."""
    if isinstance(tree, st.Read):
        return st.Read(reads[tree.name].name, tuple(map(syntax_index, reads[tree.name].index)))
    return st.rebuild(tree, lambda child: with_arguments(child, **reads))
