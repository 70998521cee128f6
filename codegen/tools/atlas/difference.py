"""What a step changed: the parts of either expression that have no counterpart in the other.

Sums are compared as multisets of terms, products as multisets of factors above and below the bar. Equal parts are matched.
Parts left over on both sides are compared in pairs, the most similar pair first. Parts that have nothing in common are marked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

from derive.language.printer import split_sign
from derive.show.latex import product_factors
from derive.syntax import Add, Call, Div, Mul, Neg, Pow, Reduce, Tree, children, rebuild, walk

__all__ = ["Difference", "difference", "distinct"]


@dataclass(frozen=True)
class Difference:
    """The nodes, by identity, that only the expression before has, and that only the expression after has."""

    old: frozenset[int]
    new: frozenset[int]


def distinct(tree: Tree) -> Tree:
    """The expression as it is printed, with signs in front and products flat, in which no object occurs as two nodes."""
    negative, core = split_sign(tree)
    if negative:
        return Neg(distinct(core))
    if isinstance(tree, Mul):
        return Mul(tuple(distinct(f) for f in product_factors(tree.args)))
    return rebuild(tree, distinct) if children(tree) else replace(tree)


def difference(before: Tree, after: Tree) -> Difference:
    """What differs between two expressions, both made by :func:`distinct`."""
    work = _Comparison()
    work.compare(before, after)
    return Difference(frozenset(work.collected(before, work.old)), frozenset(work.collected(after, work.new)))


class _Comparison:
    def __init__(self) -> None:
        self.old: set[int] = set()
        self.new: set[int] = set()

    def compare(self, before: Tree, after: Tree) -> None:
        if before == after:
            return
        if isinstance(before, Add) or isinstance(after, Add):
            self.match(_terms(before), _terms(after))
        elif isinstance(before, (Mul, Div)) or isinstance(after, (Mul, Div)):
            for gone, come in zip(_factors(before), _factors(after), strict=True):
                self.match(gone, come)
        elif _same_kind(before, after) and _likeness(before, after):
            for mine, theirs in zip(children(before), children(after), strict=True):
                self.compare(mine, theirs)
        else:
            self.mark([before], [after])

    def match(self, before: list[Tree], after: list[Tree]) -> None:
        """Match equal trees, then compare the remaining trees in pairs, the most similar pair first."""
        before, after = _without(before, after), _without(after, before)
        pairs = [(-_likeness(a, b), i, j) for i, a in enumerate(before) for j, b in enumerate(after) if _comparable(a, b)]
        mine, theirs = set(range(len(before))), set(range(len(after)))
        for _, i, j in sorted(pairs):
            if i in mine and j in theirs:
                mine.remove(i)
                theirs.remove(j)
                self.compare(before[i], after[j])
        self.mark([before[i] for i in mine], [after[j] for j in theirs])

    def mark(self, before: Iterable[Tree], after: Iterable[Tree]) -> None:
        self.old.update(map(id, before))
        self.new.update(map(id, after))

    def collected(self, tree: Tree, marked: set[int]) -> set[int]:
        """The marked nodes below a tree. A node whose several parts are all marked is marked itself, as one."""
        if id(tree) in marked:
            return {id(tree)}
        below = [(c, self.collected(c, marked)) for c in children(tree)]
        if len(below) > 1 and all(found == {id(c)} for c, found in below):
            return {id(tree)}
        return {i for _, found in below for i in found}


def _terms(tree: Tree) -> list[Tree]:
    return list(tree.args) if isinstance(tree, Add) else [tree]


def _factors(tree: Tree) -> tuple[list[Tree], list[Tree]]:
    """The factors above and below the bar."""
    match tree:
        case Mul(args):
            parts = [_factors(a) for a in args]
            return [f for above, _ in parts for f in above], [f for _, below in parts for f in below]
        case Div(num, den):
            (above, under), (below, over) = _factors(num), _factors(den)
            return above + over, under + below
    return [tree], []


def _same_kind(a: Tree, b: Tree) -> bool:
    match a, b:
        case (Neg(), Neg()):
            return True
        case (Reduce(kind, index, _), Reduce(other, slots, _)):
            return kind == other and index == slots
        case (Call(head, args), Call(other, slots)):
            return head == other and len(args) == len(slots)
        case (Pow(base, _), Pow(other, _)):
            # A power of a function is printed as one symbol, which cannot be marked in part.
            return not isinstance(base, Call) and not isinstance(other, Call)
    return False


def _comparable(a: Tree, b: Tree) -> bool:
    """Whether comparing the two marks less than the whole of both."""
    products = (Mul, Div)
    return isinstance(a, Add) or isinstance(b, Add) or isinstance(a, products) or isinstance(b, products) or _same_kind(a, b)


def _likeness(a: Tree, b: Tree) -> int:
    """The number of subexpressions that two expressions share."""
    return (Counter(walk(a)) & Counter(walk(b))).total()


def _without(trees: list[Tree], others: list[Tree]) -> list[Tree]:
    """The trees without those that are equal to one of ``others``; each of ``others`` removes one tree."""
    left = Counter(others)
    out = []
    for tree in trees:
        if left[tree] > 0:
            left[tree] -= 1
        else:
            out.append(tree)
    return out
