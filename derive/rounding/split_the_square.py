"""The exponential of a square, split so that the rounding of the square does not show.

The relative error of ``exp(-k*u**2)`` is ``k*u**2`` times the relative error of ``u**2``. Let ``v`` be the leading bits of
``abs(u)``. Then ``u**2`` is ``v**2 + (u - v)*(u + v)``: ``v**2`` and the smaller factor are exact, and the product is small.
Source: the computation of erfc in FreeBSD's msun, s_erf.c (Sun Microsystems, 1993).
"""

from __future__ import annotations

import math
from fractions import Fraction

from derive import syntax as st
from derive.language.parse import parse_formula
from derive.rounding.work import Work
from derive.rules import Rule
from derive.terms.flatten import flat_tree
from derive.terms.reads import with_arguments
from derive.terms.sums import Read, Sum

__all__ = ["RULE", "split_squares"]

RULE = Rule("split the square")

#: ``exp(-UNDERFLOW)`` is 0 in float64.
UNDERFLOW = 750
#: The largest value of ``k`` times the product.
LEFT = 0.5


def split_squares(work: Work) -> None:
    """Split the square in every definition that is such an exponential."""
    for name, index, _ in work.expressions():
        exponent = work.function(name, "exp") if name in work.definitions else None
        found = _square(work.names.alias(exponent)) if exponent else None
        if found is None:
            continue
        u, k = found
        leading = flat_tree(with_arguments(_leading_bits(k), u=u), work.op, work.names, list(index))
        v = work.names.read(leading, index, "v", kept=True)
        parts = parse_formula(f"w = exp(-{k}*v**2)*exp(-{k}*(u - v)*(u + v))").equations[0].rhs
        work.change(RULE, name, flat_tree(with_arguments(parts, u=u, v=v), work.op, work.names, list(index)))
        work.keep(name)


def _square(exponent: Sum) -> tuple[Read, Fraction] | None:
    """``u`` and ``k`` of an exponent ``-k*u**2``; None for any other exponent."""
    only = exponent.single
    if only is None or only[0].bound or len(only[0].factors) != 1 or only[1] >= 0:
        return None
    atom, e = only[0].factors[0]
    return (atom, -only[1]) if isinstance(atom, Read) and e == 2 else None


def _leading_bits(k: Fraction) -> st.Tree:
    """``v`` as a tree: enough leading bits of ``abs(u)`` to make the product small, and few enough that ``v**2`` is exact."""
    reach = 2 ** math.ceil(math.log2(UNDERFLOW / k) / 2)  # beyond ``reach`` both exponentials are 0, and v would overflow
    steps = 2 ** math.ceil(math.log2(2 * math.sqrt(UNDERFLOW * k) / LEFT))
    return parse_formula(f"v = floor({steps}*minimum(abs(u), {reach}))/{steps}").equations[0].rhs
