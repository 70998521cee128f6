"""Python's operators: the only module that puts operators between texts, and therefore knows their precedence.

Operators of one precedence are read from left to right; ``@`` has the precedence of ``*``. An operand after the first therefore
keeps its brackets, so that the text means the tree that it is printed from.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

__all__ = [
    "ADD",
    "ATOM",
    "COMPARE",
    "MUL",
    "NEG",
    "POW",
    "Text",
    "call",
    "compared",
    "item",
    "matmul",
    "method",
    "negated",
    "power",
    "product",
    "quotient",
    "total",
    "wrapped",
]

#: Binding strengths, weakest first.
COMPARE, ADD, MUL, NEG, POW, ATOM = range(6)


class Text(NamedTuple):
    """The source of an expression and its binding strength."""

    code: str
    level: int = ATOM

    def within(self, level: int) -> str:
        """The source as an operand that must bind at least as strongly as ``level``, in brackets if need be."""
        return self.code if self.level >= level else f"({self.code})"


def total(terms: Iterable[tuple[bool, Text]]) -> Text:
    """The sum of the terms; True beside a term says that the term is subtracted."""
    code = ""
    for negative, term in terms:
        text = term.within(MUL if negative or code else ADD)
        code += (f" - {text}" if code else f"-{text}") if negative else (f" + {text}" if code else text)
    return Text(code, ADD)


def product(factors: Sequence[Text]) -> Text:
    return _chain(factors, "*")


def quotient(a: Text, b: Text) -> Text:
    return _chain((a, b), "/")


def matmul(a: Text, b: Text) -> Text:
    """``a @ b``. An operand that is itself a product stands in brackets, even where they are only for readers."""
    return Text(f"{a.within(POW)} @ {b.within(POW)}", MUL)


def _chain(operands: Sequence[Text], sign: str) -> Text:
    first, *rest = operands
    return Text(f" {sign} ".join([first.within(MUL), *(o.within(NEG) for o in rest)]), MUL)


def negated(a: Text) -> Text:
    """``-a``. The minus before a product is read as part of its first factor, so the text still is a product."""
    return Text(f"-{a.within(MUL)}", MUL if a.level == MUL else NEG)


def power(base: Text, exponent: Text) -> Text:
    return Text(f"{base.within(ATOM)}**{exponent.within(NEG)}", POW)


def compared(a: Text, sign: str, b: Text) -> Text:
    return Text(f"{a.within(ADD)} {sign} {b.within(ADD)}", COMPARE)


def call(function: str, *arguments: Text | str) -> Text:
    """``function(a, b)``; an argument that is plain text is an option such as ``axis=0``."""
    return Text(f"{function}({', '.join(a if isinstance(a, str) else a.code for a in arguments)})")


def method(a: Text, name: str, *arguments: Text | str) -> Text:
    return call(f"{a.within(ATOM)}.{name}", *arguments)


def item(a: Text, slots: Sequence[str]) -> Text:
    """``a[slots]``."""
    return Text(f"{a.within(ATOM)}[{', '.join(slots)}]")


def wrapped(parts: list[str], sign: str, width: int) -> list[str]:
    """The parts joined by a sign, in pieces of at most ``width`` letters where no part is longer."""
    lines = [parts[0]]
    for part in parts[1:]:
        if len(lines[-1] + sign + part) > width:
            lines[-1] += sign
            lines.append(part)
        else:
            lines[-1] += sign + part
    return lines
