"""Rules as data: what a step of a derivation did, and how the step is shown to readers.

Here are the rules of every derivation. Rules that change only how values are rounded stand in ``rounding/``, each in a file
called as the rule is: ``no cancellation`` in ``rounding/no_cancellation.py``.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CHAIN_RULE", "FOLD", "INLINE", "SOLVE", "SPLIT_LOG", "STABILISE", "UNFOLD", "Rule"]


@dataclass(frozen=True)
class Rule:
    """A kind of step. Readers see its ``title``, and behind the title the names that a step used if ``names`` is set."""

    title: str
    names: bool = False

    def said(self, using: tuple[str, ...]) -> str:
        """How a step is shown that used the definitions of the names ``using``."""
        return f"{self.title} {', '.join(using)}".rstrip() if self.names else self.title


#: A positive sum of exponentials is shifted by the largest exponent.
STABILISE = Rule("stabilise")
#: An adjoint is the sum of the contributions of all definitions that read its name.
CHAIN_RULE = Rule("chain rule")
#: A name takes the place of its definition.
FOLD = Rule("fold", names=True)
#: A definition takes the place of its name.
UNFOLD = Rule("unfold", names=True)
#: One term of a named sum is written as that name minus the other terms.
SOLVE = Rule("solve", names=True)
#: The line of an adjoint takes the place of its name, in the lines that read it.
INLINE = Rule("inline", names=True)
#: The logarithm of a product of positive factors is the sum of their logarithms. Only the textbook track has it as a step.
SPLIT_LOG = Rule("split log", names=True)
