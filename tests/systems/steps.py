"""Recurrences of a text, read a second time: which reads are one step back, and what the first step reads there.

A read ``h[n, t - 1]`` is one step back where ``h`` has its equation below, or depends on what is being defined. With a line
``h[n, -1] = ...`` every such read is, in whatever equation.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class First:
    """What a line says of the values before the first step; ``axes`` are those of the name without the axis of the steps."""

    place: int
    down: bool
    axes: tuple[str, ...]
    value: ast.expr


@dataclass(frozen=True)
class Steps:
    """``back`` has the reads one step back and the slot of the step; ``axes`` the axes of steps, and whether they go down.

    ``fixed`` has the reads that equations which step together make of each other, ``held`` the calls of the catalogue that
    take what is computed step by step, with the axes of those steps.
    """

    back: Mapping[ast.Subscript, int] = field(default_factory=dict)
    axes: Mapping[str, bool] = field(default_factory=dict)
    held: Mapping[ast.Call, set[str]] = field(default_factory=dict)
    fixed: frozenset[ast.Subscript] = frozenset()


def ways(read: ast.Subscript) -> dict[int, tuple[str, bool]]:
    """The slots that are one step away, each with its axis, and whether it is ``t + 1``."""
    found = {}
    for k, slot in enumerate(read.slice.elts if isinstance(read.slice, ast.Tuple) else [read.slice]):
        text = ast.unparse(slot)
        axis = text.removesuffix(" - 1").removesuffix(" + 1").removeprefix("1 + ")
        if axis.isidentifier() and text != axis and f"1 + {axis} + 1" != text:
            found[k] = axis, "+" in text
    return found


def begins(target: ast.expr) -> tuple[str, int, bool, tuple[str, ...]] | None:
    """Of ``h[n, -1] = ...`` or ``h[n, size(t)] = ...``, and None of any other left side.

    The name, the slot of the step, whether steps go down, and the other axes.
    """
    if not isinstance(target, ast.Subscript) or not isinstance(target.value, ast.Name):
        return None
    slots = [ast.unparse(s) for s in (target.slice.elts if isinstance(target.slice, ast.Tuple) else [target.slice])]
    places = [k for k, s in enumerate(slots) if s == "-1" or s.startswith("size(")]
    if not places:
        return None
    k = places[0]
    return target.value.id, k, slots[k] != "-1", tuple(s.lstrip("*") for j, s in enumerate(slots) if j != k)


def steps(equations: list[tuple[str, tuple[str, ...], ast.expr]], firsts: Mapping[str, First]) -> Steps:
    """The recurrences of equations, each a name, its axes and its right side."""
    names = [name for name, _, _ in equations]
    reads = {name: [n for n in ast.walk(rhs) if isinstance(n, ast.Subscript)] for name, _, rhs in equations}
    reach = _closure({name: {n.id for n in ast.walk(rhs) if isinstance(n, ast.Name)} & {*names} for name, _, rhs in equations})
    own = {name: index for name, index, _ in equations}
    found = {
        read: name
        for k, name in enumerate(names)
        for read in reads[name]
        if ways(read) and (of := ast.unparse(read.value)) in own and (of in names[k:] or name in reach[of])
    }
    places = _places(list(found))
    for name in names:
        for read in reads[name]:
            begun = firsts.get(ast.unparse(read.value))
            if begun is not None and (begun.place, begun.down) in {(k, down) for k, (_, down) in ways(read).items()}:
                found[read] = name
    back = {read: places[ast.unparse(read.value)][0] for read in found}
    axes = {own[of][place]: down for of, (place, down) in places.items()}
    along: dict[str, set[str]] = {name: set() for name in names}
    for read, name in found.items():
        of = ast.unparse(read.value)
        along[name] |= {own[of][back[read]]} if name in reach[of] else set()
    held: dict[ast.Call, set[str]] = {}
    fixed = {*back}
    for name, _, rhs in equations:
        group = {n for n in reach[name] if name in reach[n]}
        fixed |= {read for read in reads[name] if ast.unparse(read.value) in group}
        for call in (n for n in ast.walk(rhs) if isinstance(n, ast.Call)):
            if group & {n.id for n in ast.walk(call) if isinstance(n, ast.Name)}:
                held[call] = set().union(*(along[n] for n in group))
    return Steps(back, axes, held, frozenset(fixed))


def _places(reads: list[ast.Subscript]) -> dict[str, tuple[int, bool]]:
    """For each name the slot in which all its reads one step back step: of several that along whose axis most reads step."""
    counts = Counter(way for read in reads for way in ways(read).values())
    out = {}
    for of in {ast.unparse(read.value): None for read in reads}:
        own = [ways(read) for read in reads if ast.unparse(read.value) == of]
        shared = [k for k, (_, down) in own[0].items() if all(w.get(k, ("", None))[1] == down for w in own)]
        place = max(shared, key=lambda k: counts[own[0][k]])
        out[of] = place, own[0][place][1]
    return out


def _closure(edges: dict[str, set[str]]) -> dict[str, set[str]]:
    reach = {name: set(others) for name, others in edges.items()}
    for middle in edges:
        for others in reach.values():
            if middle in others:
                others |= reach[middle]
    return reach
