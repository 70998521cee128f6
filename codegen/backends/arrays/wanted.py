"""Which gradients a line of a backward is for, and the branches in which it computes only those that the caller wants.

Where ``dx`` and ``db`` share a line that ``dW`` does not need, the body is::

    dx = dW = db = None
    if "dW" in wanted:
        dW = x.T @ dy
    if wanted & {"dx", "db"}:
        da = dy * slope
    ...
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from codegen.program import Program, Statement
from derive import syntax as st

__all__ = ["Part", "chosen", "names_of", "needs"]

Names = frozenset[str]
NONE: Names = frozenset()


@dataclass(frozen=True)
class Line:
    """A line of a body, and the results that it is needed for."""

    text: str
    needed: Names


@dataclass(frozen=True)
class Part:
    """The statements of a part of a body, the lines of its conditions on positions that no earlier part has, and its lines."""

    statements: Sequence[Statement]
    conditions: Mapping[st.Compare, Sequence[str]]
    lines: Sequence[str]


def needs(program: Program, statements: Sequence[Statement]) -> dict[str, Names]:
    """For each name, the results of a program that need it. All names of a loop over steps are needed for the same results."""
    needed: dict[str, Names] = {name: frozenset({name}) for name in program.results}
    loop_of = {name: loop for loop in program.loops for name in loop.names}
    together = {name: loop.names for name, loop in loop_of.items()}
    for _, group in groupby(reversed(statements), lambda s: together.get(s.name, (s.name,))):
        parts = list(group)
        loop = loop_of.get(parts[0].name)
        carries = loop.carries if loop else tuple(c for c in program.shifts if c.name == parts[0].name)
        names = {n for s in parts for n in (s.name, *st.reads(s.tree))} | {n for c in carries for n in (c.name, c.of, c.first)}
        computed = {s.name for s in parts} | ({n for c in carries for n in (c.name, c.of)} if loop else set())
        results = frozenset().union(*(needed.get(n, NONE) for n in computed))
        needed |= {n: needed.get(n, NONE) | results for n in names if n}
    return needed


def names_of(results: Sequence[str]) -> str:
    """The names of gradients as a tuple in source."""
    names = ", ".join(f'"{name}"' for name in results)
    return f"({names})"


def chosen(
    program: Program, statements: Sequence[Statement], parts: Sequence[Part], results: Mapping[str, str], wanted: str
) -> Iterator[str]:
    """The lines of a body, in branches on the variable ``wanted``.

    ``statements`` are those of the program as its arrays are held, and ``results`` has the source of each result in the
    caller's axes and dtype, which it gets after the last line that reads it.
    """
    needed = needs(program, statements)
    uses = {n: k for k, part in enumerate(parts) for s in part.statements for n in (s.name, *st.reads(s.tree))}
    lines = []
    for k, part in enumerate(parts):
        for condition, texts in part.conditions.items():
            users = (needed.get(s.name, NONE) for s in statements if any(n == condition for n in st.walk(s.tree)))
            lines += [Line(text, frozenset().union(*users)) for text in texts]
        lines += [Line(text, needed.get(part.statements[0].name, NONE)) for text in part.lines]
        done = [name for name in program.results if uses[name] == k and results[name] != name]
        lines += [Line(f"{name} = {results[name]}", frozenset({name})) for name in done]
    yield from branches(lines, program.results, wanted)


def branches(lines: Sequence[Line], results: Sequence[str], wanted: str) -> Iterator[str]:
    """The lines of a body: what every result needs as it stands, other lines in branches, and none that no result needs."""
    yield f"{' = '.join(results)} = None"
    for needed, group in groupby((line for line in lines if line.needed), lambda line: line.needed):
        if needed >= {*results}:
            yield from (line.text for line in group)
            continue
        names = [f'"{r}"' for r in results if r in needed]
        yield f"if {names[0]} in {wanted}:" if len(names) == 1 else f"if {wanted} & {{{', '.join(names)}}}:"
        yield from (f"    {line.text}" for line in group)
