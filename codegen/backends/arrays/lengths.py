"""Declared lengths as they are written in Python, and by their author."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from codegen.backends.arrays.spelling import MUL, NEG, Text, negated, product, total
from derive import syntax as st

__all__ = ["length_source", "length_text"]


def length_text(tree: st.Tree) -> str:
    """A declared length as its author writes it."""
    shown = length_source(tree, lambda axis: Text(f"size({axis})"), Text).code
    return shown.replace(" * ", "*").replace(" // ", "//")


def length_source(tree: st.Tree, size: Callable[[str], Text], constant: Callable[[str], Text]) -> Text:
    """A declared length in Python: ``size`` gives the source of the length of an axis, ``constant`` that of a constant."""

    def source(node: st.Tree) -> Text:
        match node:
            case st.Num(value):
                return Text(str(value))
            case st.Read(name):
                return constant(name)
            case st.Size(axis):
                return size(axis)
            case st.Neg(arg):
                return negated(source(arg))
            case st.Add(args):
                return total(_term(a) for a in _terms(args))
            case st.Mul(args):
                return product([source(a) for a in args])
            case st.Call("floor", (st.Div(a, b),)):
                return Text(f"{source(a).within(MUL)} // {source(b).within(NEG)}", MUL)
        raise TypeError(f"{node} is no length")

    def _term(node: st.Tree) -> tuple[bool, Text]:
        return (True, source(node.arg)) if isinstance(node, st.Neg) else (False, source(node))

    return source(tree)


def _terms(args: Iterable[st.Tree]) -> Iterable[st.Tree]:
    """The terms of a sum, of which the first may be a sum itself."""
    for a in args:
        yield from _terms(a.args) if isinstance(a, st.Add) else (a,)
