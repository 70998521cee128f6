"""Rules as data: what a step of a derivation was, and what readers see of it.

These are the rules of all derivations. Those that change only how values are rounded stand each in a file of its own, which is
called as the rule is: ``no cancellation`` is ``rounding/no_cancellation.py``.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CHAIN_RULE", "FOLD", "INLINE", "SOLVE", "STABILISE", "UNFOLD", "Rule"]


@dataclass(frozen=True)
class Rule:
    """A kind of step. ``title`` is for readers, who are also told the names that it used if it is one that ``names`` them."""

    title: str
    names: bool = False

    def said(self, using: tuple[str, ...]) -> str:
        """What readers see of one application, which used the definitions of these names."""
        return " ".join((self.title, *using)) if self.names else self.title


#: A positive sum of exponentials is shifted by the largest exponent.
STABILISE = Rule("stabilise")
#: An adjoint is what the definitions that read its name send to it.
CHAIN_RULE = Rule("chain rule")
#: A name takes the place of its definition.
FOLD = Rule("fold", names=True)
#: A definition takes the place of its name.
UNFOLD = Rule("unfold", names=True)
#: One term of a sum is written by the sum, which has a name, and the other terms.
SOLVE = Rule("solve", names=True)
#: The line of an adjoint takes the place of its name, in the lines that read it.
INLINE = Rule("inline", names=True)
