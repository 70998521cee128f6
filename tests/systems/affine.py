"""Affine reads: slots of a text that become sums of positions, such as ``x[i - 1]`` for ``x[i]``."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from random import Random

from tests.systems import language
from tests.systems.vocabulary import chance, pick

#: Of a hundred slots, so many of a text that has affine reads become affine.
SLOTS = 30


def affine(rng: Random, text: str) -> str:
    """The text with sums of positions in some slots. Every index stays where it is, so that all are still used."""
    system = language.read(text)
    lines = text.split("\n")
    edits = []
    for statement in ast.parse(text).body[1:]:
        if isinstance(statement, ast.Assign):
            edits += [e for node, over in _reads(statement.value, None) for e in _edits(rng, node, over, system)]
    for line, start, end, form in sorted(edits, reverse=True):
        lines[line - 1] = lines[line - 1][:start] + form + lines[line - 1][end:]
    return "\n".join(lines)


def _reads(node: ast.AST, over: list[str] | None) -> Iterator[tuple[ast.Subscript, list[str] | None]]:
    """The reads in an expression, each with the axes of the nearest reduction that has no value without an element."""
    if isinstance(node, ast.Call) and language.is_reduction(node):
        kind, axes, _ = language.reduced(node)
        for argument in node.args:
            yield from _reads(argument, None if kind == "sum" else axes)
        return
    if isinstance(node, ast.Subscript):
        yield node, over
    for child in ast.iter_child_nodes(node):
        yield from _reads(child, over)


def _edits(
    rng: Random, node: ast.Subscript, over: list[str] | None, system: language.System
) -> Iterator[tuple[int, int, int, str]]:
    if not isinstance(node.value, ast.Name) or node.value.id not in system.tensors or node.value.id in system.labels:
        return
    axes, slots = system.tensors[node.value.id].axes, language.slots(node)
    plain = [
        s
        for s, axis in zip(slots, axes, strict=True)
        if isinstance(s, ast.Name) and s.id not in system.stars and axis not in system.stars and s.id not in system.labels
    ]
    for slot in plain:
        others = [s.id for s in plain if s is not slot]
        forms = _forms(slot.id, others, over)
        if forms and chance(rng, SLOTS):
            yield slot.lineno, slot.col_offset, slot.end_col_offset or 0, pick(rng, forms)


def _forms(i: str, others: list[str], over: list[str] | None) -> list[str]:
    """Sums of positions in the place of ``i``. Where a reduction needs an element, a window that has its first everywhere."""
    if over is not None:
        return [f"{i} - {j}" for j in others if i not in over and j in over]
    return [f"{i} - 1", f"{i} + 1", f"2*{i}", f"1 - {i}", f"2*{i} - 1", *(f"{i} {sign} {j}" for j in others for sign in "+-")]
