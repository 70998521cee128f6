"""C's source of an expression, with what its surroundings have to know of it."""

from __future__ import annotations

from dataclasses import dataclass

from codegen.backends.arrays.spelling import ATOM


@dataclass(frozen=True)
class CText:
    """``level`` is the binding strength of the source, ``minus`` says whether a minus sign begins it."""

    code: str
    level: int = ATOM
    minus: bool = False

    def __str__(self) -> str:
        return self.code

    def within(self, level: int) -> CText:
        """The source as an operand that has to bind at least so strongly."""
        return self if self.level >= level else self.in_brackets()

    def unsigned(self) -> CText:
        """The source as an operand after a sign: two minus signs in a row are another operator in C."""
        return self.in_brackets() if self.minus else self

    def in_brackets(self) -> CText:
        return CText(f"({self})")


def signed_sum(terms: list[tuple[CText, bool]]) -> str:
    """The sum of terms, each with whether it is taken away."""
    out = ""
    for term, minus in terms:
        text = term.unsigned()
        out = f"{out} {'-' if minus else '+'} {text}" if out else f"-{text}" if minus else f"{text}"
    return out
