"""Sums and products of trees, put so that what has few axes meets what has many last."""

from __future__ import annotations

from derive import syntax as st

__all__ = ["added", "arranged", "multiplied"]


def added(parts: list[st.Tree]) -> st.Tree:
    flat: list[st.Tree] = []
    for p in parts:
        flat.extend(p.args if isinstance(p, st.Add) else (p,))
    return flat[0] if len(flat) == 1 else st.Add(tuple(flat))


def multiplied(parts: list[st.Tree]) -> st.Tree:
    flat: list[st.Tree] = []
    for p in parts:
        flat.extend(p.args if isinstance(p, st.Mul) else (p,))
    return flat[0] if len(flat) == 1 else st.Mul(tuple(flat))


def arranged(
    groups: list[tuple[frozenset[str], list[st.Tree]]], numbers: list[st.Tree], divisors: list[tuple[frozenset[str], st.Tree]]
) -> st.Tree:
    """Multiply and divide so that what has few axes is combined before it meets what has many."""
    groups = groups or [(frozenset(), [])]
    left, parts = list(divisors), []
    covered: frozenset[str] = frozenset()
    for k, (axes, factors) in enumerate(groups):
        covered |= axes
        last = k == len(groups) - 1
        here = [t for a, t in left if last or a <= covered]
        left = [d for d in left if not (last or d[0] <= covered)]
        tree = multiplied([*numbers, *factors] if k == 0 else factors)
        parts.append(st.Div(tree, multiplied(here)) if here else tree)
    if len(parts) == 2 and isinstance(parts[0], (st.Div, st.Reduce)) and isinstance(parts[1], (st.Read, st.Pow)):
        parts.reverse()
    return multiplied(parts)
