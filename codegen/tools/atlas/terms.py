"""Equations as plain data for an interpreter that is not Python: a tree is a list that begins with the word for its kind.

``scripts/interpreter.js`` reads this form. An index is its name, or for a lookup a list with the tensor's name and its indices.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from derive import syntax as st
from derive.functions.words import NARY, PLACES

__all__ = ["SPELLED", "Line", "line_data", "unspelled"]

#: The functions that ``scripts/functions.js`` spells.
SPELLED = frozenset(
    "exp log tanh sinh cosh sin cos atan erf erfcx expm1 log1p floor ceil round stop finite abs sign maximum minimum "
    "power".split()
)


@dataclass(frozen=True)
class Line:
    """``name[index] = tree``."""

    name: str
    index: tuple[str, ...]
    tree: st.Tree


def line_data(line: Line) -> list[Any]:
    """A line as data: its name, its index and its tree."""
    return [line.name, list(line.index), _tree(line.tree)]


def unspelled(lines: Iterable[Line]) -> str | None:
    """What JavaScript has no spelling for: the first such function in the lines, or positions; None where it has all."""
    for node in (node for line in lines for node in st.walk(line.tree)):
        if isinstance(node, st.Call) and node.head not in SPELLED and node.head not in NARY:
            return f"the function {node.head}"
        if isinstance(node, st.Reduce) and node.kind in PLACES:
            return f"the position that {node.kind} finds"
        if isinstance(node, (st.Position, st.AffineRead)):
            return "conditions on indices, and reads at sums of them"
    return None


def _tree(node: st.Tree) -> list[Any]:
    match node:
        case st.Num(value):
            return ["number", float(value)]
        case st.Const(name):
            return ["constant", name]
        case st.Read(name, index):
            return ["read", name, list(map(_index, index))]
        case st.Size(axis):
            return ["size", axis]
        case st.Reduce(kind, index, body):
            return ["reduce", kind, list(index), _tree(body)]
        case st.Call(head, args):
            return ["call", head, *map(_tree, args)]
        case st.Compare(rel, left, right):
            return ["compare", rel, _tree(left), _tree(right)]
        case st.Match(left, right, equal):
            return ["match", _index(left), _index(right), equal]
    return [_OPERATIONS[type(node)], *map(_tree, st.children(node))]


_OPERATIONS: dict[type, str] = {
    st.Neg: "negative",
    st.Add: "sum",
    st.Mul: "product",
    st.Div: "quotient",
    st.Pow: "power",
    st.Indicator: "indicator",
}


def _index(index: st.Index) -> Any:
    return index if isinstance(index, str) else [index.name, list(map(_index, index.index))]
