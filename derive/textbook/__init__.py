"""The derivation as a textbook has it: the same engine, on the author's equations as they stand.

On paper nothing overflows and no digit is lost. So nothing is stabilised here, no rewriting is refused for its rounding, and
the chain rule goes from one name of the author's to the next: what the engine names inside an equation is differentiated
through, as a person does. The rules, the search and their objective are those of :func:`derive.engine.derive`, and the result
is a :class:`~derive.derivation.Derivation` too, so that whatever certifies one certifies the other.
"""

from derive.textbook.paper import Paper, textbook

__all__ = ["Paper", "textbook"]
