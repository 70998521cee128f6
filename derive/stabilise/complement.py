"""The complement of a share: for ``p = u/(u + v)`` with positive ``u`` and ``v``, ``1 - p`` is ``v/(u + v)``.

The quotient cancels no digits, and costs no more than the difference. Written as a quotient, the logarithm of a logistic's
complement is stabilised as that of the logistic is.
"""

from __future__ import annotations

from collections.abc import Sequence

from derive import syntax as st
from derive.rounding.other_shares import RULE, two_shares
from derive.rounding.work import Work
from derive.terms.definitions import Definition
from derive.terms.names import Names

__all__ = ["complements"]


def complements(op: st.Op, definitions: Sequence[Definition], names: Names) -> tuple[Definition, ...]:
    """The definitions with every complement ``1 - p`` of such a share written as the other share."""
    work = Work(op, names, definitions, {}, {})
    for d in definitions:
        body = d.body
        while (found := two_shares(work, body)) is not None and len(found[0]) < len(body):
            body = found[0]
            work.change(RULE, d.name, body, (found[1],))
    return work.ordered()
