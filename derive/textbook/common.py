"""What all terms of a sum have in common, in front of the sum: ``(g*a - h*b)/r`` for ``g*a/r - h*b/r``.

The trees of the engine leave such factors where that saves work, as in a loop. A reader looks for the shortest line.
"""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

from derive import syntax as st

__all__ = ["common_factors"]

ONE = st.Num(Fraction(1))
#: The factors above and below the line of a fraction; a power of a whole number is so many factors.
Factors = tuple["Counter[st.Tree]", "Counter[st.Tree]"]


def common_factors(tree: st.Tree) -> st.Tree:
    """The tree with the common factors of every sum in front of the sum."""
    node = tree if isinstance(tree, st.AffineRead) else st.rebuild(tree, common_factors)
    if not isinstance(node, st.Add):
        return node
    terms = [_parted(a) for a in node.args]
    above, below = (_shared([factors[k] for _, factors in terms]) for k in (0, 1))
    if not above and not below:
        return node
    rest = st.Add(tuple(_signed(negative, _quotient(a - above, b - below)) for negative, (a, b) in terms))
    front = _quotient(above, below)
    if not above:
        return st.Div(rest, front.den) if isinstance(front, st.Div) else node
    return st.Mul((*front.args, rest) if isinstance(front, st.Mul) else (front, rest))


def _shared(parts: list[Counter[st.Tree]]) -> Counter[st.Tree]:
    shared = parts[0]
    for part in parts[1:]:
        shared = shared & part
    return Counter({tree: n for tree, n in shared.items() if not isinstance(tree, (st.Num, st.Const))})


def _parted(tree: st.Tree) -> tuple[bool, Factors]:
    """Whether a term is subtracted, and its factors."""
    if isinstance(tree, st.Neg):
        negative, factors = _parted(tree.arg)
        return not negative, factors
    above: Counter[st.Tree] = Counter()
    below: Counter[st.Tree] = Counter()
    _collect(tree, above, below)
    return False, (above, below)


def _collect(tree: st.Tree, above: Counter[st.Tree], below: Counter[st.Tree]) -> None:
    match tree:
        case st.Mul(args):
            for a in args:
                _collect(a, above, below)
        case st.Div(num, den):
            _collect(num, above, below)
            _collect(den, below, above)
        case st.Pow(base, st.Num(value)) if value > 1 and value.denominator == 1:
            above[base] += int(value)
        case _ if tree != ONE:
            above[tree] += 1


def _quotient(above: Counter[st.Tree], below: Counter[st.Tree]) -> st.Tree:
    num = _product(above)
    return st.Div(num, _product(below)) if below else num


def _product(factors: Counter[st.Tree]) -> st.Tree:
    return st.product([tree if n == 1 else st.Pow(tree, st.Num(Fraction(n))) for tree, n in factors.items()])


def _signed(negative: bool, tree: st.Tree) -> st.Tree:
    return st.Neg(tree) if negative else tree
