"""Trees as people write them: one fraction instead of a product with a fraction in brackets, and no index used twice.

The trees of the engine say in which order a product is computed. On paper nobody computes, and that order only takes room.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from derive import syntax as st
from derive.textbook.common import common_factors

__all__ = ["apart", "on_paper"]

ONE = st.Num(Fraction(1))


def on_paper(tree: st.Tree, index: Iterable[str]) -> st.Tree:
    """The tree of a right side over the free indices ``index``, as it is written on paper."""
    return apart(common_factors(_one_fraction(tree)), set(index))


def _one_fraction(tree: st.Tree) -> st.Tree:
    """``c*(2*v/N)`` as ``2*c*v/N``, with sums behind other factors.

    A fraction stays before a sum in brackets or a condition, as in ``a/N*(p - q)``, unless it is a fraction of a sum itself.
    """
    node = tree if isinstance(tree, st.AffineRead) else st.rebuild(tree, _one_fraction)
    if not isinstance(node, st.Mul):
        return node
    first, *others = node.args
    apart = isinstance(first, st.Div) and not isinstance(first.num, st.Reduce) and any(map(_bracketed, others))
    if not any(isinstance(a, st.Div) for a in others) and (apart or not isinstance(first, st.Div)):
        return st.product(_ordered(list(node.args)))
    above: list[st.Tree] = []
    below: list[st.Tree] = []
    for a in node.args:
        above += _factors(a.num if isinstance(a, st.Div) else a)
        below += _factors(a.den) if isinstance(a, st.Div) else []
    above = [a for a in above if a != ONE] or [ONE]
    return st.Div(st.product(_ordered(above)), st.product(below))


def _bracketed(tree: st.Tree) -> bool:
    return isinstance(tree, (st.Add, st.Indicator)) or isinstance(tree, st.Call) and tree.head == "where"


def _ordered(factors: list[st.Tree]) -> list[st.Tree]:
    """Numbers first, then names, functions and fractions, then sums."""
    return sorted(factors, key=lambda f: 0 if isinstance(f, st.Num) else 2 if isinstance(f, (st.Reduce, st.Add)) else 1)


def _factors(tree: st.Tree) -> list[st.Tree]:
    return list(tree.args) if isinstance(tree, st.Mul) else [tree]


def apart(tree: st.Tree, taken: set[str]) -> st.Tree:
    """The tree with primes at every bound index that is spelled as an index around it."""
    if not isinstance(tree, st.Reduce):
        return st.rebuild(tree, lambda child: apart(child, taken))
    inner = set(taken)
    free = set(st.free_indices(tree.body)) - set(tree.index)
    bound: list[str] = []
    for i in tree.index:
        bound.append(st.fresh_index(i, inner | free))
        inner.add(bound[-1])
    body = st.rename(tree.body, dict(zip(tree.index, bound, strict=True)))
    return st.Reduce(tree.kind, tuple(bound), apart(body, inner))
