"""Recognise a contraction: a sum over a product in which no factor has all of the loop's axes."""

from __future__ import annotations

from dataclasses import dataclass

from derive import syntax as st


@dataclass(frozen=True)
class Contraction:
    """A sum over a product of two parts that share the summed axes."""

    left: st.Tree
    right: st.Tree

    @staticmethod
    def of(tree: st.Reduce) -> Contraction | None:
        """The two parts, or None where the sum is a plain reduction."""
        if tree.kind != "sum" or not isinstance(tree.body, st.Mul):
            return None
        factors = tree.body.args
        loop = set(st.free_indices(tree.body))
        if any(set(st.free_indices(f)) == loop for f in factors):
            return None
        if any(isinstance(n, st.Indicator) for f in factors for n in st.walk(f)):
            return None
        groups = _grouped(factors)
        if len(groups) != 2 or not all(set(tree.index) <= set(st.free_indices(g)) for g in groups):
            return None
        return Contraction(*groups)


def _grouped(factors: tuple[st.Tree, ...]) -> list[st.Tree]:
    """The factors, fewer: a factor whose axes are all axes of another factor is multiplied into that other factor."""
    parts: list[list[st.Tree]] = []
    for f in sorted(factors, key=lambda f: -len(st.free_indices(f))):
        axes = set(st.free_indices(f))
        for part in parts:
            if axes <= set(st.free_indices(part[0])):
                part.append(f)
                break
        else:
            parts.append([f])
    order = {id(f): k for k, f in enumerate(factors)}
    parts.sort(key=lambda p: order[id(p[0])])
    return [p[0] if len(p) == 1 else st.Mul(tuple(sorted(p, key=lambda f: order[id(f)]))) for p in parts]
