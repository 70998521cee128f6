"""The sections with an op's equations and its derivation: as a textbook has it, and as the engine found it."""

from __future__ import annotations

from dataclasses import dataclass

from codegen.tools.atlas.page import Prose, Section, prose
from codegen.tools.atlas.rows import BESIDE, PAGE, Group, counted, groups_of
from derive.derivation import Derivation
from derive.show import show
from derive.show.latex import LatexPrinter
from derive.show.trees import of_derivation
from derive.textbook.pages import remarks, textbook_sections
from derive.textbook.paper import textbook

__all__ = ["Derived", "Equations", "Remark", "Steps", "derivation_section", "equation_sections"]


@dataclass(frozen=True)
class Equations:
    """The author's equations, the closed forms, and the names that the engine made on the way."""

    written: tuple[Group, ...]
    closed: tuple[Group, ...]
    made: tuple[Group, ...]


@dataclass(frozen=True)
class Steps:
    """Rows that a reader can expand: ``summary`` is the line to click on; ``opened`` says if they are expanded at first.

    ``marked`` says if what a step changed is marked, ``named`` if there are names that the engine made.
    """

    summary: str
    groups: tuple[Group, ...]
    opened: bool = False
    marked: bool = False
    named: bool = False


@dataclass(frozen=True)
class Remark:
    """What the kernels compute otherwise than on paper."""

    words: Prose
    groups: tuple[Group, ...]


@dataclass(frozen=True)
class Derived:
    """The tracks of a derivation, the textbook's first, and the remarks behind it."""

    tracks: tuple[Steps, ...]
    remarks: tuple[Remark, ...]


def equation_sections(derivation: Derivation, plain: LatexPrinter) -> tuple[Section, Section]:
    """The section on the equations and closed forms, and the section on the chain rule."""
    tree_of = of_derivation(derivation)
    parts = {s.part: s.groups for s in show.sections(derivation, tree_of=tree_of)}
    full = {s.part: s.groups for s in show.sections(derivation, tree_of=tree_of, full=True)}
    forward = parts[show.Part.FORWARD]
    count, author = len(derivation.op.equations), {e.name for e in derivation.op.equations}
    made = [g for g in forward[count:] if g[0].name not in author]
    rewritten = [g for g in forward[count:] if g[0].name in author]
    equations = Equations(
        groups_of(forward[:count], plain, "equation", PAGE, matrices=True),
        groups_of(parts[show.Part.CLOSED_FORM], plain, "closed", PAGE, matrices=True),
        (*groups_of(made, plain, "equation", BESIDE), *groups_of(rewritten, plain, "stable", BESIDE)),
    )
    chain = groups_of(full[show.Part.CHAIN_RULE], plain, "chain", PAGE, ruled=False)
    summary = f"The adjoints of {counted(len(chain), 'equation')}, nothing simplified"
    return (
        Section("equations", "Equations", "equations.html.j2", equations),
        Section("chain-rule", "Chain rule", "chain.html.j2", Steps(summary, chain)),
    )


def derivation_section(derivation: Derivation, plain: LatexPrinter) -> Section:
    """The derivation as a textbook has it, the remark on what kernels do otherwise, and every step of the engine.

    A variant has the engine's steps alone: on paper it is its op.
    """
    engine = _engine(derivation, plain)
    if derivation.op.variant:
        content = Derived((engine,), ())
    else:
        paper = textbook(derivation.op)
        printer = LatexPrinter(show.adjoint_names(paper.derivation))
        lines = _paper(
            [g for s in textbook_sections(paper) if s.part is not show.Part.CLOSED_FORM for g in s.groups], printer, derivation
        )
        told = tuple(
            Remark(prose(s.remark), groups_of(s.groups, plain, "remark", PAGE, ruled=False)) for s in remarks(paper, derivation)
        )
        content = Derived((lines, engine), told)
    return Section("derivation", "Derivation", "derivation.html.j2", content)


def _paper(groups: list[list[show.Row]], printer: LatexPrinter, derivation: Derivation) -> Steps:
    """The lines of the textbook track that are not the author's equations as they stand."""
    given = {e.name for e in derivation.op.equations}
    shown = groups_of([g for g in groups if g[0].name not in given or len(g) > 1], printer, "paper", BESIDE, matrices=True)
    return Steps(f"On paper, in {counted(sum(len(g.rows) for g in shown), 'line')}", shown, opened=True, marked=True)


def _engine(derivation: Derivation, plain: LatexPrinter) -> Steps:
    sections = show.sections(derivation, tree_of=of_derivation(derivation))
    (steps,) = (s.groups for s in sections if s.part is show.Part.DERIVATION)
    groups = groups_of(steps, plain, "step", BESIDE)
    rows = sum(len(g.rows) for g in groups)
    summary = f"Every step of the engine: {counted(rows, 'line')} for {counted(len(groups), 'adjoint')}"
    return Steps(summary, groups, opened=bool(derivation.op.variant), marked=True, named=bool(plain.made))
