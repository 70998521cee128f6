"""The computation graph of a derivation: forward names, each with its adjoint and the adjoint's fate.

The names are the definitions as displayed, without engine-made names that are inlined. A forward edge goes from a name to a
definition that reads it; a backward edge goes from an adjoint to an adjoint that reads it by the chain rule.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from derive.derivation import Derivation
from derive.show.trees import of_derivation
from derive.syntax import Tree, adjoint_name, primal_name, reads

__all__ = ["Fate", "Graph", "Place", "Vertex", "graph"]


class Place(Enum):
    """What a name is to its op."""

    INPUT = "input"
    LABELS = "labels"
    OUTPUT = "output"
    SAVED = "saved"
    VALUE = "value"


class Fate(Enum):
    """The fate of an adjoint: it is given, is a result, is kept in the closed form, or is inlined in the derivation."""

    UPSTREAM = "upstream"
    GRADIENT = "gradient"
    LINE = "line"
    INLINED = "inlined"


@dataclass(frozen=True)
class Vertex:
    """A name with its axes, and its adjoint, "" where it has none."""

    name: str
    axes: tuple[str, ...]
    place: Place
    adjoint: str = ""
    fate: Fate | None = None


@dataclass(frozen=True)
class Graph:
    """``forward`` are pairs (name, name that reads it). ``backward`` are those pairs along which an adjoint flows back."""

    vertices: tuple[Vertex, ...]
    forward: frozenset[tuple[str, str]]
    backward: frozenset[tuple[str, str]]


def graph(derivation: Derivation, saved: frozenset[str]) -> Graph:
    """The graph of all names that an output or a closed form depends on."""
    op, tree_of = derivation.op, of_derivation(derivation)
    trees = {d.name: tree_of(d.body, d.index) for d in derivation.forward}
    adjoints = {d.name: tree_of(d.body, d.index) for d in derivation.chain}
    outputs = {t.name for t in op.outputs}
    wanted = _needed(trees, {*outputs, *(n for line in derivation.lines for n in reads(tree_of(line.body, line.index)))})
    axes = {t.name: t.axes for t in op.inputs} | {d.name: d.index for d in derivation.forward if d.name in wanted}
    kept = {line.name for line in derivation.lines}

    def place(name: str) -> Place:
        labels = any(t.name == name and t.integer for t in op.inputs)
        if labels or name not in trees:
            return Place.LABELS if labels else Place.INPUT
        return Place.OUTPUT if name in outputs else Place.SAVED if name in saved else Place.VALUE

    def vertex(name: str) -> Vertex:
        adjoint = adjoint_name(name)
        if name in outputs and adjoint not in adjoints:
            return Vertex(name, axes[name], place(name), adjoint, Fate.UPSTREAM)
        if adjoint not in adjoints:
            return Vertex(name, axes[name], place(name))
        result, line = adjoint in derivation.gradients, adjoint in kept
        return Vertex(name, axes[name], place(name), adjoint, Fate.GRADIENT if result else Fate.LINE if line else Fate.INLINED)

    forward = {(read, name) for name, tree in trees.items() if name in axes for read in reads(tree) if read in axes}
    backward = {
        (primal_name(name), primal_name(read))
        for name, tree in adjoints.items()
        for read in reads(tree)
        if primal_name(name) in axes and primal_name(read) in axes and (read in adjoints or primal_name(read) in outputs)
    }
    return Graph(tuple(map(vertex, axes)), *(_within_steps(edges, list(axes)) for edges in (forward, backward)))


def _within_steps(edges: set[tuple[str, str]], order: list[str]) -> frozenset[tuple[str, str]]:
    """The edges without those from one step of a recurrence to the next, which would close a cycle."""
    place = {name: k for k, name in enumerate(order)}
    return frozenset((read, name) for read, name in edges if place[read] < place[name])


def _needed(trees: dict[str, Tree], names: set[str]) -> set[str]:
    """The names and all that their definitions read."""
    needed = set(names)
    for name, tree in reversed(trees.items()):
        if name in needed:
            needed.update(reads(tree))
    return needed
