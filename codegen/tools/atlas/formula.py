"""Equations as formulas, with what a step changed marked."""

from __future__ import annotations

import re
from collections.abc import Mapping

from codegen.tools.atlas.page import Formula
from derive.language.printer import Printed
from derive.show.latex import LatexPrinter, width
from derive.syntax import Index, Neg, Tree

_MARKS = re.compile(r"^(?:\\(?:new|old)\{)+")


class MarkedPrinter(LatexPrinter):
    r"""LaTeX in which nodes, given by identity, are wrapped in macros: ``\new{...}``, ``\old{...}``."""

    def __init__(self, plain: LatexPrinter, marks: Mapping[int, tuple[str, ...]]):
        """``plain`` is the printer whose formulas are marked."""
        super().__init__(plain.adjoints, plain.made)
        self.marks = marks

    def render(self, node: Tree) -> Printed:
        printed, prec = super().render(node)
        return self.marked(node, printed), prec

    def addend(self, arg: Tree) -> str:
        # A minus belongs to the term, and is marked with it; a plus only joins the term to others.
        printed = super().addend(arg)
        return self.marked(arg, printed) if isinstance(arg, Neg) else printed

    def pieces(self, node: Tree, limit: float) -> list[str]:
        parts = super().pieces(node, limit)
        return parts if len(parts) == 1 else [self.marked(node, part) for part in parts]

    def marked(self, node: Tree, printed: str) -> str:
        for mark in self.marks.get(id(node), ()):
            printed = rf"{mark}{{{printed}}}"
        return printed

    def join(self, factors: list[str]) -> str:
        """The factors joined; neighbours that have the same mark get one mark together."""
        merged: list[tuple[str, str]] = []
        for marks, inner in map(unmarked, factors):
            if merged and marks and merged[-1][0] == marks:
                before = merged[-1][1]
                merged[-1] = marks, before + super().between(before, inner) + inner
            else:
                merged.append((marks, inner))
        return super().join([marks + inner + "}" * marks.count("{") for marks, inner in merged])

    def between(self, left: str, right: str) -> str:
        return super().between(left.rstrip("}") if _MARKS.match(left) else left, _MARKS.sub("", right))


def unmarked(printed: str) -> tuple[str, str]:
    """The opening marks that enclose a whole formula, and the formula inside them."""
    found = _MARKS.match(printed)
    if found is None or not _reaches_to_the_end(printed):
        return "", printed
    return found[0], printed[len(found[0]) : -found[0].count("{")]


def _reaches_to_the_end(printed: str) -> bool:
    depth = 0
    for place, c in enumerate(printed):
        depth += (c == "{") - (c == "}")
        if c == "}" and depth == 0:
            return place == len(printed) - 1
    return False


def equation(
    name: str, index: tuple[Index, ...], tree: Tree, printer: LatexPrinter, *, limit: float, first: bool = True
) -> Formula:
    """``name[index] = tree``, broken into lines of at most ``limit`` letters; only a ``first`` row shows its left side."""
    left, _ = printer.read(name, index)
    parts = printer.lines(tree, limit - width(left))
    shown = left if first else rf"\phantom{{{left}}} {{}}"
    plain = LatexPrinter(printer.adjoints, printer.made).lines(tree, limit - width(left))
    return Formula(_aligned(shown, parts), source=_aligned(left, plain))


def _aligned(left: str, parts: list[str]) -> str:
    if len(parts) == 1:
        return f"{left} = {parts[0]}"
    rest = "".join(rf" \\ &\quad {{}}{part}" for part in parts[1:])
    return rf"\begin{{aligned}} {left} &= {parts[0]}{rest} \end{{aligned}}"
