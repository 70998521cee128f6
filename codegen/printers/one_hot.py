"""Recognise ``k*(a - [c = t[n]])``: something scaled, less a multiple of one-hot rows."""

from __future__ import annotations

from dataclasses import dataclass

from derive import syntax as st


@dataclass(frozen=True)
class OneHot:
    """``factors*(rest - [target = labels])``."""

    factors: tuple[st.Tree, ...]
    rest: st.Tree
    target: str
    labels: st.Lookup

    @staticmethod
    def of(tree: st.Tree, index: tuple[str, ...]) -> OneHot | None:
        """The parts, or None where the expression over ``index`` is not of this form with one label per row."""
        args = tree.args if isinstance(tree, st.Mul) else ()
        sums = [a for a in args if isinstance(a, st.Add) and len(a.args) == 2]
        if len(sums) != 1:
            return None
        rest, last = sums[0].args
        if not (isinstance(last, st.Neg) and isinstance(last.arg, st.Indicator) and isinstance(last.arg.cond, st.Match)):
            return None
        target, labels = last.arg.cond.left, last.arg.cond.right
        if isinstance(target, st.Lookup):
            target, labels = labels, target
        factors = tuple(a for a in args if a is not sums[0])
        if not (isinstance(target, str) and isinstance(labels, st.Lookup)) or target not in index:
            return None
        if any(target in st.free_indices(f) for f in factors) or labels.index != tuple(i for i in index if i != target):
            return None
        return OneHot(factors, rest, target, labels)
