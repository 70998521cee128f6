"""What one evaluation of an expression in a loop costs."""

from __future__ import annotations

from derive import syntax as st
from derive.functions import words


def operations(tree: st.Tree) -> int:
    """The floating-point operations of one evaluation. A part without indices is loop-invariant and costs nothing."""
    if not st.free_indices(tree):
        return 0
    own = {st.Neg: 1, st.Compare: 1, st.Indicator: 1}.get(type(tree), 0)
    match tree:
        case st.Add(args) | st.Mul(args):
            own = len(args) - 1
        case st.Div(_, b):
            own = 4 if st.free_indices(b) else 1
        case st.Pow(_, st.Num(e)):
            own = int(e) - 1 if e.denominator == 1 and 0 < e <= 4 else 8
        case st.Call(head, _):
            own = words.cost(head)
    return own + sum(operations(c) for c in st.children(tree))
