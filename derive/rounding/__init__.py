"""Rewritings that change no value, only its rounding: the last stage of a derivation.

Each rewriting is an identity. It is applied in every op, wherever the left side of the identity stands in flat terms, and is
recorded as a step. Every derivation gets the rules ``COMMON``, which cost nothing:

* ``gap``: an exponent less the larger of two;
* ``log1p``: the logarithm of a number near 1.

The accurate variant of an op also gets ``ACCURATE``, in this order:

* ``no_cancellation``: a function beside the number that it cancels, such as ``1 - tanh(u)**2``;
* ``other_shares``: 1 less a share of a positive sum is the sum of the other shares;
* ``halve_the_exponent``: an exponential that underflows before its product does is multiplied in two halves;
* ``split_the_square``: the exponential of a square, which is split so that it is not rounded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from derive import syntax as st
from derive.derivation import Step
from derive.rounding import gap, halve_the_exponent, log1p, no_cancellation, other_shares, split_the_square
from derive.rounding.work import Work
from derive.rules import Rule
from derive.terms.definitions import Definition
from derive.terms.names import Names
from derive.terms.sums import Sum

__all__ = ["ACCURATE", "COMMON", "rounded"]

#: The function that carries out each rule.
COMMON: dict[Rule, Callable[[Work], None]] = {gap.RULE: gap.gaps, log1p.RULE: log1p.logarithms_near_one}
ACCURATE: dict[Rule, Callable[[Work], None]] = {
    no_cancellation.RULE: no_cancellation.without_cancellation,
    other_shares.RULE: other_shares.other_shares,
    halve_the_exponent.RULE: halve_the_exponent.halved_tails,
    split_the_square.RULE: split_the_square.split_squares,
}


def rounded(
    op: st.Op, names: Names, forward: Sequence[Definition], lines: Mapping[str, Sum], index: Mapping[str, tuple[str, ...]]
) -> tuple[tuple[Definition, ...], dict[str, Sum], list[Step]]:
    """The forward definitions and the lines as they are to be computed, and the steps that led to them."""
    work = Work(op, names, forward, lines, index)
    for rewrite in (*COMMON.values(), *(ACCURATE.values() if op.variant == "accurate" else ())):
        rewrite(work)
    return work.ordered(), work.lines, work.steps
