"""Affine reads: slots of a text that become sums of positions, such as ``x[i - 1]`` for ``x[i]``."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, replace
from random import Random

from tests.systems import language
from tests.systems.lengths import as_python
from tests.systems.vocabulary import chance, pick

#: Of a hundred slots, so many of a text that has affine reads become affine.
SLOTS = 30


def affine(rng: Random, text: str) -> str:
    """The text with sums of positions in some slots. Every index that is reduced stays where it is, so that all are used."""
    system = language.read(text)
    lines = text.split("\n")
    fixed = {(n.lineno, n.col_offset) for n in system.steps.fixed}
    edits = []
    for statement in ast.parse(as_python(text)).body[1:]:
        if isinstance(statement, ast.Assign) and not ast.unparse(statement).startswith("size["):
            reads = [read for read in _reads(statement.value, _Around()) if (read[0].lineno, read[0].col_offset) not in fixed]
            edits += [e for read in reads for e in _edits(rng, *read, system)]
    for line, start, end, form in sorted(edits, reverse=True):
        lines[line - 1] = lines[line - 1][:start] + form + lines[line - 1][end:]
    return "\n".join(lines)


@dataclass(frozen=True)
class _Around:
    """What a read stands in: reductions over ``bound``, the nearest one, where that has no value without an element, over
    ``nearest``; and a call of the catalogue."""

    bound: frozenset[str] = frozenset()
    nearest: tuple[str, ...] | None = None
    called: bool = False


def _reads(node: ast.AST, around: _Around) -> Iterator[tuple[ast.Subscript, _Around]]:
    """The reads in an expression."""
    if isinstance(node, ast.Call) and language.is_reduction(node):
        kind, axes, _ = language.reduced(node)
        if language.found_on(node) is not None:  # a position is found among plain reads
            return
        shared = () if node.keywords else tuple(axes)  # with a correction, one element is too few
        inside = replace(around, bound=around.bound | {*axes}, nearest=None if kind in ("sum", "prod") else shared)
        for argument in node.args:
            yield from _reads(argument, inside)
        return
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in language.SIGNATURES:
        around = replace(around, called=True)
    if isinstance(node, ast.Subscript):
        yield node, around
    for child in ast.iter_child_nodes(node):
        yield from _reads(child, around)


def _edits(rng: Random, node: ast.Subscript, around: _Around, system: language.System) -> Iterator[tuple[int, int, int, str]]:
    if not isinstance(node.value, ast.Name) or node.value.id not in system.tensors or node.value.id in system.labels:
        return
    axes, slots = system.tensors[node.value.id].axes, language.slots(node)
    plain = [
        s
        for s, axis in zip(slots, axes, strict=True)
        if isinstance(s, ast.Name) and s.id not in system.stars and axis not in system.stars and s.id not in system.scalars
    ]
    for slot in plain:
        forms = _forms(slot.id, [s.id for s in plain if s is not slot], around)
        if forms and chance(rng, SLOTS):
            yield slot.lineno, slot.col_offset, slot.end_col_offset or 0, pick(rng, forms)


def _forms(i: str, others: list[str], around: _Around) -> list[str]:
    """Sums of positions in the place of ``i``. Where a reduction needs an element, a window that has its first everywhere."""
    forms = [f"size({i}) - 1 - {i}"]
    if i not in around.bound and not around.called:
        forms.append("0")
    if around.nearest is not None:
        return forms + [f"{i} - {j}" for j in others if i not in around.nearest and j in around.nearest]
    forms += [f"{i} - 1", f"{i} + 1", f"2*{i}", f"1 - {i}", f"2*{i} - 1"]
    return forms + [f"{i} {sign} {j}" for j in others for sign in "+-"]
