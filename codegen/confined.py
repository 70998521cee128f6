"""Names of the engine's that are read only where a condition holds are 0 elsewhere.

``where(j <= i, exp(S - m), 0)`` may have a name for its exponential. Where ``j > i``, it may overflow, and nobody reads it. So
the condition goes into the name: no backend computes there what can overflow, and no derivative meets its infinity (see
:mod:`codegen.branches`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import NamedTuple

from codegen.branches import is_risky
from codegen.program import Statement
from derive import syntax as st

__all__ = ["confined", "confined_in"]

ZERO = st.Num(Fraction(0))


@dataclass(frozen=True)
class _Choice:
    """The branch of a ``where`` that something stands in: the first if ``taken``."""

    condition: st.Tree
    taken: bool

    def of(self, tree: st.Tree) -> st.Tree:
        """The choice between the expression and 0."""
        return st.Call("where", (self.condition, tree, ZERO) if self.taken else (self.condition, ZERO, tree))

    def at(self, to: dict[str, st.Index]) -> _Choice:
        return _Choice(st.rename(self.condition, to), self.taken)


class _Reading(NamedTuple):
    """The indices of a read, and the choices that the read stands in."""

    at: tuple[st.Index, ...]
    around: tuple[_Choice, ...]


def confined(
    forward: Sequence[Statement], backward: Sequence[Statement], made: Collection[str], known: Collection[str]
) -> tuple[list[Statement], list[Statement]]:
    """The statements of both programs with the names in ``made`` confined.

    ``known`` are the arguments and the constants of the forward, which a condition may read.
    """
    risky = {s.name for s in forward if s.name in made and is_risky(s.tree)}
    reads: dict[str, list[_Reading]] = {name: [] for name in risky}
    for reader in (*forward, *backward) if risky else ():
        for name, reading in _reads(reader.tree, risky, ()):
            reads[name].append(reading)
    found: dict[str, tuple[tuple[str, ...], _Choice]] = {}
    out, known = list[Statement](), set(known)
    for s in forward:
        if s.name in risky and (choice := _shared(s, reads[s.name], known)):
            found[s.name] = s.index, choice
            s = replace(s, tree=choice.of(s.tree))
        known.add(s.name)
        out.append(s)
    return [_plain(s, found) for s in out], [_plain(s, found) for s in backward]


def confined_in(statements: Sequence[Statement]) -> frozenset[str]:
    """The names that are 0 where a condition does not hold."""
    choices = ((s.name, s.tree) for s in statements if isinstance(s.tree, st.Call) and s.tree.head == "where")
    return frozenset(name for name, tree in choices if ZERO in tree.args[1:])


def _shared(s: Statement, reads: Iterable[_Reading], known: set[str]) -> _Choice | None:
    """The choice, in the statement's own indices, that every read of its name stands in; None where there is none."""
    shared: list[_Choice] | None = None
    for index, around in reads:
        if not all(isinstance(i, str) for i in index) or len(set(index)) < len(index):
            return None
        to: dict[str, st.Index] = dict(zip(map(str, index), s.index, strict=True))
        own = [c.at(to) for c in around if to.keys() >= set(st.free_indices(c.condition))]
        shared = own if shared is None else [c for c in shared if c in own]
    return next((c for c in shared or () if known.issuperset(st.reads(c.condition))), None)


def _reads(tree: st.Tree, names: Collection[str], around: tuple[_Choice, ...]) -> Iterator[tuple[str, _Reading]]:
    """Each read of one of the names."""
    match tree:
        case st.Read(name, index) if name in names:
            yield name, _Reading(index, around)
        case st.Call("where", (condition, a, b)):
            yield from _reads(condition, names, around)
            yield from _reads(a, names, (*around, _Choice(condition, True)))
            yield from _reads(b, names, (*around, _Choice(condition, False)))
        case st.Reduce(_, bound, body):
            yield from _reads(body, names, tuple(c for c in around if not set(bound) & set(st.free_indices(c.condition))))
        case _:
            for child in st.children(tree):
                yield from _reads(child, names, around)


def _plain(s: Statement, found: dict[str, tuple[tuple[str, ...], _Choice]]) -> Statement:
    """The statement without the choices between a confined name and 0: they are made in the name."""

    def plain(tree: st.Tree) -> st.Tree:
        tree = st.rebuild(tree, plain)
        match tree:
            case st.Call("where", (_, (st.Read(name, index) as read), other) | (_, other, (st.Read(name, index) as read))) if (
                name in found and other == ZERO
            ):
                own, choice = found[name]
                if choice.at(dict(zip(own, index, strict=True))).of(read) == tree:
                    return read
        return tree

    return replace(s, tree=plain(s.tree)) if found else s
