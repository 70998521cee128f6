"""The floating-point operations of an expression as written; each runs over only the axes that it depends on."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from derive import syntax as st
from derive.functions import words
from derive.terms.factoring import DEFAULT_SIZE

__all__ = ["operations"]

Axes = frozenset[str]


def operations(tree: st.Tree, sizes: Mapping[str, int]) -> int:
    """The number of operations at these axis lengths. A function such as ``exp`` counts as the tens of operations it takes."""
    return _measured(tree, sizes)[0]


def _measured(tree: st.Tree, sizes: Mapping[str, int]) -> tuple[int, Axes]:
    """The operations of an expression and its free indices, in one walk."""
    parts = [_measured(child, sizes) for child in st.children(tree)]
    inside = sum(ops for ops, _ in parts)
    free = frozenset(st.own_indices(tree)).union(*(f for _, f in parts))
    match tree:
        case st.Mul():  # from left to right: a factor meets the axes of the factors before it
            met = [frozenset[str]().union(*(f for _, f in parts[: k + 1])) for k in range(1, len(parts))]
            return inside + sum(_elements(axes, sizes) for axes in met), free
        case st.Reduce(_, index, _):
            return inside + _elements(free | set(index), sizes), free - set(index)
    return inside + _own(tree) * _elements(free, sizes), free


def _own(tree: st.Tree) -> int:
    """The operations per element of the node itself, without its children."""
    match tree:
        case st.Add(args):
            return len(args) - 1
        case st.Div() | st.Compare():
            return 1
        case st.Pow(_, st.Num(e)):
            return words.power_cost(e)
        case st.Call(head, _):
            return words.cost(head)
    return 0


def _elements(axes: Axes, sizes: Mapping[str, int]) -> int:
    return prod(sizes.get(st.axis_of(i), DEFAULT_SIZE) for i in axes)
