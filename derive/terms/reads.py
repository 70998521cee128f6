"""Indices and reads of flat terms as indices and reads of trees."""

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
    """An index of a flat term, in which every bound index has a name, as an index of a tree."""
    assert not isinstance(index, (int, Hole)), "a bound index has no name here"
    if isinstance(index, Lookup):
        return st.Lookup(index.name, tuple(map(syntax_index, index.index)))
    return index


def with_arguments(tree: st.Tree, **reads: Read) -> st.Tree:
    """The tree with the read ``reads[name]`` in the place of each scalar ``name``. Every name in the tree needs such a read."""
    if isinstance(tree, st.Read):
        return st.Read(reads[tree.name].name, tuple(map(syntax_index, reads[tree.name].index)))
    return st.rebuild(tree, lambda child: with_arguments(child, **reads))
