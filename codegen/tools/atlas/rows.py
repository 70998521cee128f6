"""Rows of formulas, each with its matrix form and with the rules that led to it; a rule's label leads to its explanation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from codegen.tools.atlas.difference import difference, distinct
from codegen.tools.atlas.formula import MarkedPrinter, equation
from codegen.tools.atlas.page import Formula
from derive.explain import entry_for
from derive.matrices import matrix_latex, matrix_of
from derive.show import show
from derive.show.latex import MARKS, LatexPrinter
from derive.syntax import Tree, reads
from derive.textbook.pages import Statement, TextbookRow

__all__ = ["BESIDE", "PAGE", "Group", "Label", "Row", "counted", "groups_of"]

#: The width of a page's column in letters, and its width where rules stand beside the formulas.
PAGE, BESIDE = 84.0, 70.0
NEW, OLD = MARKS


@dataclass(frozen=True)
class Label:
    """A rule beside a row: in words, or the formula of a fact. ``anchor`` is that of its explanation, "" where it has none."""

    text: str
    anchor: str
    fact: Formula | None = None


@dataclass(frozen=True)
class Row:
    formula: Formula
    rules: tuple[Label, ...] = ()
    matrix: Formula | None = None


@dataclass(frozen=True)
class Group:
    """The rows of one name; ``anchor`` is the target of links to them."""

    anchor: str
    rows: tuple[Row, ...]


def groups_of(
    groups: Iterable[Sequence[show.Row]],
    plain: LatexPrinter,
    prefix: str,
    limit: float,
    *,
    ruled: bool = True,
    matrices: bool = False,
) -> tuple[Group, ...]:
    """The groups as rows of the page, with anchors ``PREFIX-NAME``. With ``matrices`` the last row has its matrix form."""
    return tuple(_group(g, plain, f"{prefix}-{g[0].name}", limit, ruled, matrices) for g in groups)


def counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _group(rows: Sequence[show.Row], plain: LatexPrinter, anchor: str, limit: float, ruled: bool, matrices: bool) -> Group:
    trees = [distinct(row.tree) for row in rows]
    printer = MarkedPrinter(plain, _marks(trees))
    return Group(
        anchor,
        tuple(
            Row(
                equation(row.name, row.index, tree, printer, limit=limit, first=row.first),
                _labels(row, plain) if ruled else (),
                _matrix(row, plain) if matrices and row is rows[-1] else None,
            )
            for row, tree in zip(rows, trees, strict=True)
        ),
    )


def _labels(row: show.Row, plain: LatexPrinter) -> tuple[Label, ...]:
    facts = {str(fact): fact for fact in row.facts} if isinstance(row, TextbookRow) else {}
    return tuple(_label(rule, facts.get(rule), plain) for rule in row.rules)


def _label(rule: str, fact: Statement | None, plain: LatexPrinter) -> Label:
    entry = entry_for(rule)
    formula = Formula(f"{plain.show(fact.left)} = {plain.show(fact.right)}", display=False) if fact else None
    return Label(rule, entry.anchor if entry else "", formula)


def _matrix(row: show.Row, plain: LatexPrinter) -> Formula | None:
    """The matrix form of a row; None where it has none, or where it would read a name that the engine made."""
    form = matrix_of(row.index, row.tree)
    if form is None or plain.made & {row.name, *reads(row.tree)}:
        return None
    return Formula(matrix_latex(row.name, form, adjoints=plain.adjoints))


def _marks(trees: list[Tree]) -> dict[int, tuple[str, ...]]:
    """The macros for nodes, by identity: nodes that the row before does not have, and nodes that the next row does not have."""
    marks: dict[int, tuple[str, ...]] = {}
    for before, after in zip(trees, trees[1:], strict=False):
        found = difference(before, after)
        for kind, nodes in ((OLD, found.old), (NEW, found.new)):
            for node in nodes:
                marks[node] = (*marks.get(node, ()), kind)
    return marks
