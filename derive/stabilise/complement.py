"""1 less a share of two positive parts is the other share: with ``p = u/(u + v)``, ``1 - p`` is ``v/(u + v)``.

Nothing is subtracted, and nothing costs more. The logarithm of a logistic's complement is then stabilised as the logistic's is.
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
    """The definitions with every such difference written as the other share."""
    work = Work(op, names, definitions, {}, {})
    for d in definitions:
        body = d.body
        while (found := two_shares(work, body)) is not None and len(found[0]) < len(body):
            body = found[0]
            work.change(RULE, d.name, body, (found[1],))
    return work.ordered()
