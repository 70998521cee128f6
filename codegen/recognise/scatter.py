"""Recognise a scatter-add: ``sum[s](dy[s, d] * [v = t[s]])`` adds each row of ``dy`` to the one that its label names."""

from __future__ import annotations

from dataclasses import dataclass

from codegen.recognise.one_hot import product
from derive import syntax as st


@dataclass(frozen=True)
class Scatter:
    """The sum over the labels' axes of the body, where the target is the label."""

    target: str
    labels: st.Lookup
    body: st.Tree

    @staticmethod
    def of(tree: st.Reduce) -> Scatter | None:
        """The parts, or None where the sum is something else. What is summed besides is summed in the body."""
        factors = tree.body.args if isinstance(tree.body, st.Mul) else (tree.body,)
        for f in factors if tree.kind == "sum" else ():
            found = _labelled(f)
            rest = tuple(g for g in factors if g is not f)
            if found is None or found[0] in tree.index or any(found[0] in st.free_indices(g) for g in rest):
                continue
            target, labels = found
            others = tuple(i for i in tree.index if i not in labels.index)
            body = product(rest)
            if set(labels.index) <= set(tree.index) and set(others) <= set(st.free_indices(body)):
                return Scatter(target, labels, st.Reduce("sum", others, body) if others else body)
        return None


def _labelled(factor: st.Tree) -> tuple[str, st.Lookup] | None:
    """The index and the labels that a condition says are equal, where the labels are read as they stand."""
    if not (isinstance(factor, st.Indicator) and isinstance(factor.cond, st.Match) and factor.cond.equal):
        return None
    target, labels = factor.cond.left, factor.cond.right
    if isinstance(target, st.Lookup):
        target, labels = labels, target
    if not isinstance(target, str) or isinstance(labels, str):
        return None
    plain = all(isinstance(i, str) for i in labels.index) and len(set(labels.index)) == len(labels.index)
    return (target, labels) if plain and target not in labels.index else None
