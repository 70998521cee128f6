"""The page on rules and signs: what each means, and an example that the engine works out."""

from __future__ import annotations

from dataclasses import dataclass, replace

from codegen.tools.atlas.page import Prose, prose
from codegen.tools.atlas.rows import BESIDE, Group, groups_of
from derive import parse, parse_formula
from derive.explain import ENTRIES, Entry, example_of
from derive.show.latex import LatexPrinter
from derive.show.show import Row
from derive.syntax import adjoint_name

__all__ = ["Explanation", "explanations"]


@dataclass(frozen=True)
class Explanation:
    """A rule, or a sign if ``sign`` is set. ``equations`` is the example's text; ``groups`` are the lines that show it."""

    anchor: str
    name: str
    sign: bool
    says: Prose
    equations: str
    groups: tuple[Group, ...]


def explanations() -> tuple[Explanation, ...]:
    """All rules and signs, rules first."""
    return tuple(map(_explanation, ENTRIES))


def _explanation(entry: Entry) -> Explanation:
    found = example_of(entry)
    groups: list[list[Row]] = []
    for row in (*(replace(made, rules=[]) for made in found.made), *found.rows):
        if groups and groups[-1][0].name == row.name:
            groups[-1].append(replace(row, first=False))
        else:
            groups.append([replace(row, first=True)])
    text = "\n".join(found.equations)
    op = parse(text) if len(found.equations) > 1 else parse_formula(text)
    made = frozenset(row.name for row in found.made)
    known = {t.name for t in op.inputs} | {e.name for e in op.equations} | made
    printer = LatexPrinter(frozenset(map(adjoint_name, known)), made)
    shown = groups_of(groups, printer, entry.anchor, BESIDE, matrices=True)
    return Explanation(entry.anchor, entry.name, bool(entry.sign), prose(entry.says), text, shown)
