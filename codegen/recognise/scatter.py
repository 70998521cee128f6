"""Recognise a scatter-add: ``sum[s](dy[s, d] * [v = t[s]])`` adds each row of ``dy`` to the row that its label names."""

from __future__ import annotations

from dataclasses import dataclass

from derive import syntax as st


@dataclass(frozen=True)
class Scatter:
    """A sum of ``terms`` over the axes of ``labels`` and over ``others``: each term is added to the row ``target = label``."""

    target: str
    labels: st.Lookup
    terms: st.Tree
    others: tuple[str, ...]

    @property
    def body(self) -> st.Tree:
        """What goes to the row that a label names: the terms, summed over the other axes."""
        return st.Reduce("sum", self.others, self.terms) if self.others else self.terms

    @staticmethod
    def of(tree: st.Reduce, nested: bool = False) -> Scatter | None:
        """The parts, or None where the sum is something else.

        Labels that are themselves looked up, or have one index twice, are accepted only with ``nested``: an array backend has
        no array of such labels to index with.
        """
        factors = tree.body.args if isinstance(tree.body, st.Mul) else (tree.body,)
        for f in factors if tree.kind == "sum" else ():
            found = _labelled(f, nested)
            rest = tuple(g for g in factors if g is not f)
            if found is None or found[0] in tree.index or any(found[0] in st.free_indices(g) for g in rest):
                continue
            target, labels = found
            own = set(st.index_names(labels))
            others = tuple(i for i in tree.index if i not in own)
            terms = st.product(rest)
            if own <= set(tree.index) and set(others) <= set(st.free_indices(terms)):
                return Scatter(target, labels, terms, others)
        return None


def _labelled(factor: st.Tree, nested: bool) -> tuple[str, st.Lookup] | None:
    """The index and the labels that a condition sets equal; None for another factor, or for nested labels where not allowed."""
    if not (isinstance(factor, st.Indicator) and isinstance(factor.cond, st.Match) and factor.cond.equal):
        return None
    target, labels = factor.cond.left, factor.cond.right
    if isinstance(target, st.Lookup):
        target, labels = labels, target
    if not isinstance(target, str) or isinstance(labels, str):
        return None
    plain = all(isinstance(i, str) for i in labels.index) and len(set(labels.index)) == len(labels.index)
    return (target, labels) if (plain or nested) and target not in st.index_names(labels) else None
