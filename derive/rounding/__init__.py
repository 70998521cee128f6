"""Rewritings that change no value, only how it is rounded: the last stage of a derivation.

Each is an identity, applied wherever the flat terms show its left side, whatever the op, and recorded as a step like any
other. Every derivation gets ``COMMON``, which costs nothing:

* ``gaps``: an exponent less the larger of two;
* ``logarithms``: the logarithm of a number near 1.

The accurate variant of an op also gets ``ACCURATE``, in this order:

* ``identities``: a function beside the number that it cancels, such as ``1 - tanh(u)**2``;
* ``shares``: 1 less a share of a positive sum is the sum of the other shares;
* ``tails``: an exponential that underflows before its product does is multiplied in two halves;
* ``squares``: the exponential of a square, which is split so that it is not rounded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from derive import syntax as st
from derive.derivation import Step
from derive.rounding.gaps import gaps
from derive.rounding.identities import without_cancellation
from derive.rounding.logarithms import logarithms_near_one
from derive.rounding.shares import other_shares
from derive.rounding.squares import split_squares
from derive.rounding.tails import halved_tails
from derive.rounding.work import Work
from derive.terms.definitions import Definition
from derive.terms.names import Names
from derive.terms.sums import Sum

__all__ = ["ACCURATE", "COMMON", "rounded"]

Rule = Callable[[Work, str], None]

#: Rules by the name under which their steps are recorded.
COMMON: dict[str, Rule] = {"gap": gaps, "log1p": logarithms_near_one}
ACCURATE: dict[str, Rule] = {
    "no cancellation": without_cancellation,
    "other shares": other_shares,
    "halve the exponent": halved_tails,
    "split the square": split_squares,
}


def rounded(
    op: st.Op, names: Names, forward: Sequence[Definition], lines: Mapping[str, Sum], index: Mapping[str, tuple[str, ...]]
) -> tuple[tuple[Definition, ...], dict[str, Sum], list[Step]]:
    """The forward definitions and the lines as they are to be computed, and the steps that led there."""
    work = Work(op, names, forward, lines, index)
    rules = COMMON | (ACCURATE if op.variant == "accurate" else {})
    for name, rule in rules.items():
        rule(work, name)
    return work.ordered(), work.lines, work.steps
