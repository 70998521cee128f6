"""C's spelling of conditions on indices: loop variables, labels as the caller gave them, lengths and constants."""

from __future__ import annotations

from collections.abc import Callable

from codegen.backends.arrays.spelling import ADD, ATOM, COMPARE, MUL
from codegen.backends.native.text import CText, signed_sum
from codegen.program import Argument
from derive import syntax as st

__all__ = ["condition", "guard", "whole"]


def condition(tree: st.Compare, position: Callable[[st.Index], str], other: Callable[[st.Tree], str]) -> str:
    """A condition on indices.

    ``position`` spells an index as an operand of any operator, ``other`` a length or a constant of the op.
    """

    left, right = (whole(side, position, other).within(COMPARE + 1) for side in (tree.left, tree.right))
    return f"{left} {tree.rel} {right}"


def whole(tree: st.Tree, position: Callable[[st.Index], str], other: Callable[[st.Tree], str]) -> CText:
    """A whole number made of indices, lengths and constants of the op, which are spelled as in :func:`condition`."""

    def code(tree: st.Tree) -> CText:
        return whole(tree, position, other)

    match tree:
        case st.Position(index):
            return CText(position(index))
        case st.Num(value):
            return CText(str(value.numerator), ATOM if value >= 0 else ADD, value < 0)
        case st.Neg(arg):
            return CText(f"-{code(arg).within(MUL).unsigned()}", ADD, True)
        case st.Add(args):
            signs = [(a.arg, True) if isinstance(a, st.Neg) else (a, False) for a in args]
            return CText(signed_sum([(code(a).within(MUL), minus) for a, minus in signs]), ADD, signs[0][1])
        case st.Mul(args):
            return CText(" * ".join(str(code(a).within(MUL + 1)) for a in args), MUL)
    return CText(other(tree))


def guard(a: Argument, at: Callable[[str], str], other: Callable[[st.Tree], str]) -> str:
    """Where labels are looked up, as a condition; ``at`` spells the element of an integer tensor."""

    def position(index: st.Index) -> str:
        assert isinstance(index, st.Lookup)
        return at(index.name)

    cases = [" && ".join(condition(row, position, other) for row in rows) for rows in a.guards]
    return cases[0] if len(cases) == 1 else " || ".join(f"({c})" for c in cases)
