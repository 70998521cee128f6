"""Trees combined into sums and products without nesting a sum in a sum, or a product in a product."""

from __future__ import annotations

from derive import syntax as st

__all__ = ["added", "multiplied", "readable"]


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


def readable(parts: list[st.Tree]) -> list[st.Tree]:
    """The factors of a product in reading order: a name or its power before a quotient or a sum."""
    turned = len(parts) == 2 and isinstance(parts[0], (st.Div, st.Reduce)) and isinstance(parts[1], (st.Read, st.Pow))
    return parts[::-1] if turned else parts
