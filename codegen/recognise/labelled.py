"""Recognise a value that is 0 but for one entry of each row: ``k*[c = t[n]]``."""

from __future__ import annotations

from dataclasses import dataclass

from derive import syntax as st

__all__ = ["Labelled"]


@dataclass(frozen=True)
class Labelled:
    """``amount*[target = labels]``, where every row has one label and the amount is the same for all of a row."""

    amount: st.Tree
    target: str
    labels: st.Lookup

    @staticmethod
    def of(tree: st.Tree, index: tuple[str, ...]) -> Labelled | None:
        """The parts, or None where the expression over ``index`` is something else."""
        if isinstance(tree, st.Neg):
            inner = Labelled.of(tree.arg, index)
            return inner and Labelled(st.Neg(inner.amount), inner.target, inner.labels)
        args = tree.args if isinstance(tree, st.Mul) else (tree,)
        for a in args:
            if not (isinstance(a, st.Indicator) and isinstance(a.cond, st.Match) and a.cond.equal):
                continue
            target, labels = a.cond.left, a.cond.right
            if isinstance(target, st.Lookup):
                target, labels = labels, target
            amount = st.product(tuple(b for b in args if b is not a))
            if not isinstance(target, str) or not isinstance(labels, st.Lookup) or target in st.free_indices(amount):
                continue
            if target in index and labels.index == tuple(i for i in index if i != target):
                return Labelled(amount, target, labels)
        return None
