"""The branches of a choice, of which an array library evaluates both everywhere.

``where(x <= 0, exp(x), 1)`` has the right value although ``exp`` overflows where it is not taken. A derivative of it has not:
the gradient there is 0, and 0 times infinity is NaN.
"""

from __future__ import annotations

from fractions import Fraction

from derive import syntax as st

__all__ = ["is_risky", "sheltered"]

ONE = st.Num(Fraction(1))
#: The functions that overflow, or are undefined somewhere.
RISKY = frozenset({"exp", "expm1", "sinh", "cosh", "erfcx", "log", "log1p"})


def is_risky(tree: st.Tree) -> bool:
    """Whether a function in an expression can overflow or be undefined."""
    return any(isinstance(n, st.Call) and n.head in RISKY for n in st.walk(tree))


def sheltered(condition: st.Tree, branch: st.Tree, *, taken: bool) -> st.Tree:
    """A branch of ``where(condition, ...)``, the first if ``taken``, that is finite elsewhere, as its derivatives are.

    The argument of a function that can overflow or be undefined, and a divisor, is 1 where the branch is not taken.
    """

    def safe(argument: st.Tree) -> st.Tree:
        inner = sheltered(condition, argument, taken=taken)
        return st.Call("where", (condition, inner, ONE) if taken else (condition, ONE, inner))

    match branch:
        case st.Call("where") | st.Reduce():  # a branch of another choice has its own shelter
            return branch
        case st.Call(head, (argument,)) if head in RISKY and _varies(argument):
            return st.Call(head, (safe(argument),))
        case st.Div(a, b) if _varies(b):
            return st.Div(sheltered(condition, a, taken=taken), safe(b))
        case st.Pow(base, st.Num(value)) if (value < 0 or value.denominator > 1) and _varies(base):
            return st.Pow(safe(base), st.Num(value))
    return st.rebuild(branch, lambda child: sheltered(condition, child, taken=taken))


def _varies(tree: st.Tree) -> bool:
    """Whether an expression has entries of its own, as numbers and constants of the op have not."""
    return any(isinstance(n, st.Read) and n.index for n in st.walk(tree))
