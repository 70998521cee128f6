"""The example of an entry: an op, and the first lines of its derivation in which the rule or sign occurs."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from dataclasses import dataclass, replace

from derive import derive, parse, parse_formula
from derive.explain.entries import ENTRIES, RULES, Entry, Track
from derive.language.unicode import text
from derive.show.show import Row, Section, row_lines, sections
from derive.show.trees import of_derivation
from derive.syntax import Op, Read, reads
from derive.textbook.pages import textbook_sections
from derive.textbook.paper import textbook

__all__ = ["Example", "example_of", "explained", "listed"]


@dataclass(frozen=True)
class Example:
    """The equations of an op, and one or two lines of its derivation that have the rule or sign.

    ``made`` are the definitions of the names that the engine gave and these lines read.
    """

    equations: tuple[str, ...]
    rows: tuple[Row, ...]
    made: tuple[Row, ...] = ()


def example_of(entry: Entry) -> Example:
    """The example of an entry, worked out now (LookupError where the derivation of its op does not have it)."""
    op = parse(entry.op) if "\n" in entry.op else parse_formula(entry.op)
    first, *rest = _sections(op, entry.track)
    for section in (*rest, first):
        for group in section.groups:
            for k, row in enumerate(group):
                if _has(row, entry):
                    # A sign of an equation is shown with the gradient that comes of it.
                    rows = (row, rest[0].groups[0][0]) if section is first and entry.sign else (*group[max(k - 1, 0) : k], row)
                    return Example(tuple(entry.op.splitlines()), rows, _made(op, first, rows))
    raise LookupError(f"the derivation of '{entry.op}' has no '{entry.name}'")


def _made(op: Op, forward: Section, rows: Iterable[Row]) -> tuple[Row, ...]:
    """The definitions that the rows need, of names that are not the author's."""
    authors = {e.name for e in op.equations} | {row.name for row in rows}
    wanted = {name for row in rows for name in reads(row.tree)}
    made: list[Row] = []
    for group in reversed(forward.groups):
        if group[0].name in wanted - authors:
            wanted |= set(reads(group[0].tree))
            made.insert(0, group[0])
    return tuple(made)


def _sections(op: Op, track: Track) -> list[Section]:
    if track is Track.TEXTBOOK:
        return textbook_sections(textbook(op))
    derivation = derive(op.as_variant("accurate") if track is Track.ACCURATE else op)
    return list(sections(derivation, tree_of=of_derivation(derivation)))


def _has(row: Row, entry: Entry) -> bool:
    if not entry.sign:
        return any(map(entry.labels, row.rules))
    return entry.sign in f"{text(Read(row.name, row.index))} = {text(row.tree)} {row.beside.text if row.beside else ''}"


def explained(entry: Entry, width: int = 100) -> str:
    """The entry as text: what it means, and its example."""
    other = f" (also: {', '.join(entry.aliases)})" if entry.aliases else ""
    found = example_of(entry)
    out = [entry.name + other, "-" * len(entry.name), *textwrap.wrap(entry.says, width), ""]
    out += [f"  {line}" for line in found.equations]
    out.append("")
    names: set[str] = set()
    for row in [*(replace(row, rules=[]) for row in found.made), *found.rows]:
        out += [f"  {line}" for line in row_lines(replace(row, first=row.name not in names), width - 2)]
        names.add(row.name)
    return "\n".join(line.rstrip() for line in out) + "\n"


def listed(width: int = 100) -> str:
    """All entries, with the first sentence of each."""
    names = max(len(e.name) for e in ENTRIES)

    def lines(entry: Entry) -> list[str]:
        first = entry.says.partition(". ")[0].rstrip(".")
        room = " " * (names + 4)
        return textwrap.wrap(first + ".", width, initial_indent=f"  {entry.name.ljust(names)}  ", subsequent_indent=room)

    rules = [line for e in RULES for line in lines(e)]
    signs = [line for e in ENTRIES if e.sign for line in lines(e)]
    return "\n".join(["rules", *rules, "", "signs", *signs]) + "\n"
