"""What the engine computes by a kink although it is smooth, where torch differentiates it again.

An author who wrote an ``abs`` or a ``minimum`` meant the kink. Otherwise there are two cases, as an absolute value has no slope
at 0 in torch, and two numbers that tie share theirs.

The logarithm of ``e + f``, of which the larger is 1, is computed as ``log1p(minimum(e, f))``; that is ``log1p(exp(-abs(u)))``
where both are exponentials. At a tie ``e + f - 1`` has the derivatives of both, which the smaller of the two has not.

In an accurate variant, any other ``abs(u)`` stands in an even function that is smooth, such as ``1 - tanh(u)**2``. With the
slope of either side at 0, it has that function's derivatives.
"""

from __future__ import annotations

from fractions import Fraction

from codegen.program import Program
from derive import syntax as st

__all__ = ["beside_one", "sided"]

ZERO = st.Num(Fraction(0))


def beside_one(program: Program, head: str, args: tuple[st.Tree, ...]) -> tuple[st.Tree, st.Tree] | None:
    """``e`` and ``f`` of such a logarithm, if it is the engine's own; None for any other call."""
    if head != "log1p":
        return None
    match args[0]:
        case st.Call("minimum", (e, f)) if "minimum" not in program.kinks:
            return e, f
        case st.Call("exp", (st.Neg(st.Call("abs", (u,))),)) if "abs" not in program.kinks:
            return _decayed(u), _decayed(st.Neg(u))
    return None


def sided(program: Program, head: str, args: tuple[st.Tree, ...]) -> st.Tree | None:
    """The absolute value with the slope of one side at 0, if it is the engine's own; None for any other call."""
    if head != "abs" or head in program.kinks or not program.accurate:
        return None
    return st.Call("where", (st.Compare("<", args[0], ZERO), st.Neg(args[0]), args[0]))


def _decayed(u: st.Tree) -> st.Tree:
    """``exp(-maximum(0, u))``."""
    return st.Call("exp", (st.Neg(st.Call("maximum", (ZERO, u))),))
