"""The sections with an op's equations and its derivation: rows of formulas, each with the rules that led to the formula."""

from __future__ import annotations

from dataclasses import dataclass

from codegen.tools.atlas.difference import difference, distinct
from codegen.tools.atlas.formula import MarkedPrinter, equation
from codegen.tools.atlas.page import Formula, Section, prose
from derive.derivation import Derivation
from derive.show import show
from derive.show.latex import MARKS
from derive.show.trees import of_derivation
from derive.syntax import Tree

#: The width of a page's column in letters, and its width where rules stand beside the formulas.
PAGE, BESIDE = 84.0, 70.0
NEW, OLD = MARKS


@dataclass(frozen=True)
class Row:
    formula: Formula
    rules: str = ""


@dataclass(frozen=True)
class Group:
    """The rows of one name; ``anchor`` is the target of links to them."""

    anchor: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Equations:
    """The author's equations, the closed forms, and the names that the engine made on the way."""

    written: tuple[Group, ...]
    closed: tuple[Group, ...]
    made: tuple[Group, ...]


@dataclass(frozen=True)
class Steps:
    """Rows that a reader can expand: ``summary`` is the line to click on; ``opened`` says if they are expanded at first."""

    summary: str
    groups: tuple[Group, ...]
    opened: bool
    marked: bool


def equation_sections(derivation: Derivation) -> tuple[Section, ...]:
    """The sections: the equations and closed forms, the steps to the closed forms, and the chain rule that they start from."""
    adjoints = show.adjoint_names(derivation)
    tree_of = of_derivation(derivation)
    parts = {s.part: s.groups for full in (True, False) for s in show.sections(derivation, tree_of=tree_of, full=full)}
    forward = parts[show.Part.FORWARD]
    count, author = len(derivation.op.equations), {e.name for e in derivation.op.equations}
    made = [g for g in forward[count:] if g[0].name not in author]
    rewritten = [g for g in forward[count:] if g[0].name in author]
    equations = Equations(
        _groups(forward[:count], adjoints, "equation", PAGE),
        _groups(parts[show.Part.CLOSED_FORM], adjoints, "closed", PAGE),
        (*_groups(made, adjoints, "equation", BESIDE), *_groups(rewritten, adjoints, "stable", BESIDE)),
    )
    groups = _groups(parts[show.Part.DERIVATION], adjoints, "step", BESIDE)
    rows = sum(len(g.rows) for g in groups)
    steps = Steps(f"{_counted(rows, 'line')} for {_counted(len(groups), 'adjoint')}", groups, opened=True, marked=True)
    chain = _groups(parts[show.Part.CHAIN_RULE], adjoints, "chain", PAGE, ruled=False)
    return (
        Section("equations", "Equations", "equations.html.j2", equations),
        Section("derivation", "Derivation", "steps.html.j2", steps, prose("From the chain rule to the closed form.")),
        Section(
            "chain-rule",
            "Chain rule",
            "steps.html.j2",
            Steps(f"The adjoints of {_counted(len(chain), 'equation')}, nothing simplified", chain, opened=False, marked=False),
        ),
    )


def _groups(
    groups: list[list[show.Row]], adjoints: frozenset[str], prefix: str, limit: float, *, ruled: bool = True
) -> tuple[Group, ...]:
    return tuple(_group(g, adjoints, f"{prefix}-{g[0].name}", limit, ruled) for g in groups)


def _group(rows: list[show.Row], adjoints: frozenset[str], anchor: str, limit: float, ruled: bool) -> Group:
    trees = [distinct(row.tree) for row in rows]
    printer = MarkedPrinter(adjoints, _marks(trees))
    return Group(
        anchor,
        tuple(
            Row(
                equation(row.name, row.index, tree, printer, limit=limit, first=row.first),
                ", ".join(row.rules) if ruled else "",
            )
            for row, tree in zip(rows, trees, strict=True)
        ),
    )


def _marks(trees: list[Tree]) -> dict[int, tuple[str, ...]]:
    """The macros for nodes, by identity: nodes that the row before does not have, and nodes that the next row does not have."""
    marks: dict[int, tuple[str, ...]] = {}
    for before, after in zip(trees, trees[1:], strict=False):
        found = difference(before, after)
        for kind, nodes in ((OLD, found.old), (NEW, found.new)):
            for node in nodes:
                marks[node] = (*marks.get(node, ()), kind)
    return marks


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
