"""Declared lengths in programs: which of them a program works out, and how they are written in Python."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from codegen.axes import lengths_used
from codegen.backends.arrays.spelling import MUL, NEG, Text, negated, product, total
from codegen.program import Argument, Statement
from derive import syntax as st
from derive.declared import needed
from derive.language.axes import equal_axes

__all__ = ["declared_in", "length_source", "length_text", "lengths_needed"]


def declared_in(op: st.Op, arguments: Iterable[Argument], statements: Iterable[Statement]) -> tuple[tuple[str, st.Tree], ...]:
    """The declared lengths that follow from those of a program's arguments, each after those that it needs."""
    if not op.declared:
        return ()
    own = {a for argument in arguments for a in argument.axes}
    used = own | {a for s in statements for a in lengths_used(s.index, s.tree)}
    root = equal_axes(op)
    found = list(op.declared.computed(own | {a for a, _ in op.packing.lengths}, root))
    wanted = {root.get(a, a) for a in used}
    kept: list[tuple[str, st.Tree]] = []
    for axis, tree in reversed(found):
        if root.get(axis, axis) in wanted:
            wanted |= {root.get(a, a) for a in needed(tree)}
            kept.insert(0, (axis, tree))
    return tuple(kept)


def lengths_needed(lengths: Iterable[tuple[str, st.Tree]]) -> set[str]:
    """The axes whose lengths these declared lengths read."""
    return {a for _, tree in lengths for a in needed(tree)}


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
