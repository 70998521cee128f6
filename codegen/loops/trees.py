"""Products of trees without products among their factors."""

from __future__ import annotations

from fractions import Fraction

from derive import syntax as st


def product(factors: tuple[st.Tree, ...]) -> st.Tree:
    """The factors as one tree; of none, it is 1."""
    flat = tuple(g for f in factors for g in (f.args if isinstance(f, st.Mul) else (f,)))
    return flat[0] if len(flat) == 1 else st.Mul(flat) if flat else st.Num(Fraction(1))
