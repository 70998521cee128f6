"""The C source of an expression, with its binding strength."""

from __future__ import annotations

from dataclasses import dataclass

from codegen.backends.arrays.spelling import ATOM


@dataclass(frozen=True)
class CText:
    """``level`` is the binding strength of the source; ``minus`` says whether it begins with a minus sign."""

    code: str
    level: int = ATOM
    minus: bool = False

    def __str__(self) -> str:
        return self.code

    def within(self, level: int) -> CText:
        """The source as an operand that must bind at least as strongly as ``level``, in brackets if need be."""
        return self if self.level >= level else self.in_brackets()

    def unsigned(self) -> CText:
        """The source as an operand after a sign, in brackets if it begins with a minus: ``--`` is another operator in C."""
        return self.in_brackets() if self.minus else self

    def in_brackets(self) -> CText:
        return CText(f"({self})")


def signed_sum(terms: list[tuple[CText, bool]]) -> str:
    """The sum of terms; True beside a term says that the term is subtracted."""
    out = ""
    for term, minus in terms:
        text = term.unsigned()
        out = f"{out} {'-' if minus else '+'} {text}" if out else f"-{text}" if minus else f"{text}"
    return out
