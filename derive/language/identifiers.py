"""Which texts may be names. Names are printed into mathematics and code as they are, so every other text is refused."""

from __future__ import annotations

import re
from collections.abc import Iterator

from derive import syntax as st
from derive.errors import OpError
from derive.functions.words import COMPARISONS, REDUCTIONS, is_function

__all__ = ["check_names"]

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
#: The form of a constant's default.
_NUMBER = re.compile(r"-?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?(/\d+)?", re.ASCII)


def check_names(op: st.Op) -> None:
    """Check every name and default of an op, also of an op that was not made from text (OpError for any other text)."""
    for name in (op.name, *_names(op)):
        if not _NAME.fullmatch(name):
            raise OpError(f"'{name}' is no name: expected an ASCII letter, then ASCII letters, digits and '_'", op=op.name)
    for c in op.constants:
        if c.default is not None and not _NUMBER.fullmatch(c.default):
            raise OpError(f"the default '{c.default}' of '{c.name}' is no number", op=op.name)
    for tree in (*op.assumptions, *(e.rhs for e in op.equations)):
        for node in _without_absent(tree):
            if not _known(node):
                raise OpError(f"{node} is not part of the language", op=op.name)


def _without_absent(tree: st.Tree) -> Iterator[st.Tree]:
    """The nodes of an expression, without the infinity that stands for an element that takes no part in an extremum."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, st.Reduce):
            body, where = st.taking_part(node)
            waiting += [body, *where]
        else:
            waiting += st.children(node)


def _names(op: st.Op) -> Iterator[str]:
    for t in (*op.inputs, *op.outputs):
        yield from (t.name, *t.axes, *([t.indexed] if t.indexed else []))
    yield from (c.name for c in op.constants)
    yield from op.stars
    yield from (axis for axis, _ in op.sizes)
    for axis, tree in op.declared.lengths:
        yield from (axis, *st.reads(tree), *(n.axis for n in st.walk(tree) if isinstance(n, st.Size)))
    for e in op.equations:
        yield from (e.name, *map(st.axis_of, e.index))
    for tree in (*op.assumptions, *(e.rhs for e in op.equations)):
        yield from st.reads(tree)
        for node in st.walk(tree):
            yield from map(st.axis_of, st.own_indices(node))
            if isinstance(node, st.Reduce):
                yield from map(st.axis_of, node.index)
            elif isinstance(node, st.Size):
                yield node.axis


def _known(node: st.Tree) -> bool:
    """Whether the function, reduction or comparison of a node is one of the language."""
    match node:
        case st.Const(name):
            return name == "pi"
        case st.Call(head):
            return is_function(head)
        case st.Reduce(kind):
            return kind in REDUCTIONS
        case st.Compare(rel):
            return rel in COMPARISONS
    return True
