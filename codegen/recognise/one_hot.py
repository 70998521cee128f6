"""Recognise a value with one entry of each row of its own: ``k*(a - b*[c = t[n]])``, or that with ``a*[c != t[n]]``."""

from __future__ import annotations

from dataclasses import dataclass

from derive import syntax as st


@dataclass(frozen=True)
class OneHot:
    """``factors*(rest - amount*[target = labels])``. With ``replaces``, the labelled entry is ``-amount``, without ``rest``."""

    factors: tuple[st.Tree, ...]
    rest: st.Tree
    amount: tuple[st.Tree, ...]
    target: str
    labels: st.Lookup
    replaces: bool

    @staticmethod
    def of(tree: st.Tree, index: tuple[str, ...]) -> OneHot | None:
        """The parts, or None where the expression over ``index`` is not of this form with one label per row."""
        args = tree.args if isinstance(tree, st.Mul) else ()
        sums = [a for a in args if isinstance(a, st.Add) and len(a.args) == 2]
        if len(sums) != 1 or not isinstance(sums[0].args[1], st.Neg):
            return None
        factors = tuple(a for a in args if a is not sums[0])
        match, amount = without_match(sums[0].args[1].arg, True)
        other, rest = without_match(sums[0].args[0], False)
        if match is None or (other is not None and (other.left, other.right) != (match.left, match.right)):
            return None
        target, labels = match.left, match.right
        if isinstance(target, st.Lookup):
            target, labels = labels, target
        if not (isinstance(target, str) and isinstance(labels, st.Lookup)) or target not in index:
            return None
        if any(target in st.free_indices(f) for f in (*factors, *amount)):
            return None
        if labels.index != tuple(i for i in index if i != target):
            return None
        return OneHot(factors, st.product(rest), amount, target, labels, other is not None)


def without_match(tree: st.Tree, equal: bool) -> tuple[st.Match | None, tuple[st.Tree, ...]]:
    """The condition on two indices that a product holds, and its other factors."""
    args = tree.args if isinstance(tree, st.Mul) else (tree,)
    for a in args:
        if isinstance(a, st.Indicator) and isinstance(a.cond, st.Match) and a.cond.equal == equal:
            return a.cond, tuple(b for b in args if b is not a)
    return None, args
