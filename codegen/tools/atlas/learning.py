"""An order in which a learner can read the ops: each after the ops that it builds on, with as little as possible that is new.

Nothing here is written for one op. What an op builds on and what is new in it is read from its equations; its size is the
number of lines of its derivation.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from derive.language.slots import marked
from derive.syntax import Call, Index, Lookup, Match, Mul, Num, Op, Pow, Read, Reduce, Tree, children, free_indices, walk

__all__ = ["Lesson", "builds_on", "curriculum", "ideas"]

#: The ideas that are no function of the language, by the word of the language that stands for them.
WORDS = {"sum": "sums", "mean": "means", "max": "maxima", "min": "minima", "prod": "products of entries", "where": "choices"}
PRODUCT, LOOKUP, ROOT = "matrix products", "lookups by label", "roots"


@dataclass(frozen=True)
class Lesson:
    """An op at its place in the order: the ops before it that it builds on, and the ideas that no op before it needs.

    ``bases`` are without the bases of bases.
    """

    op: str
    bases: tuple[str, ...]
    new: tuple[str, ...]


def curriculum(ops: Iterable[Op], lines: Mapping[str, int]) -> tuple[Lesson, ...]:
    """The ops in order; ``lines`` has the length of each derivation.

    Of the ops whose bases have been read, the next is one with the fewest new ideas, and of those the one with the shortest
    derivation.
    """
    left = {op.name: op for op in ops}
    bases = {name: tuple(b for b, base in left.items() if builds_on(op, base)) for name, op in left.items()}
    known: set[str] = set()
    lessons: list[Lesson] = []
    while left:
        new = {name: tuple(i for i in ideas(op) if i not in known) for name, op in left.items()}
        ready = [n for n in left if not set(bases[n]) & left.keys()] or left  # a circle of ops is read from its shortest
        name = min(ready, key=lambda n: (len(new[n]), lines[n], n))
        direct = tuple(b for b in bases[name] if not any(b in bases[other] for other in bases[name]))
        lessons.append(Lesson(name, direct, new[name]))
        known.update(new[name])
        del left[name]
    return tuple(lessons)


def ideas(op: Op) -> tuple[str, ...]:
    """What a reader of an op's equations needs to know: functions, kinds of reductions, matrix products, lookups, roots."""
    return tuple(dict.fromkeys(idea for e in op.equations for node in walk(e.rhs) for idea in _ideas(node)))


def _ideas(node: Tree) -> Iterator[str]:
    match node:
        case Reduce("sum", index, Mul(args)) if _contracted(index, args):
            yield PRODUCT
        case Reduce(kind) | Call(kind):
            yield WORDS.get(kind, kind)
        case Pow(_, Num(value)) if value.denominator > 1:
            yield ROOT
        case Read(_, index) if any(isinstance(i, Lookup) for i in index):
            yield LOOKUP


def _contracted(index: tuple[str, ...], factors: tuple[Tree, ...]) -> bool:
    """Whether a sum of a product runs over an index of several factors, of which none has all the indices."""
    free = [set(free_indices(f)) for f in factors]
    return any(sum(i in f for f in free) > 1 for i in index) and not any(f >= set().union(*free) for f in free)


# ---- what an op builds on -------------------------------------------------------------------------------------------------


def builds_on(op: Op, base: Op) -> bool:
    """Whether an op calls another by name, or has the right side of the other's only equation in one of its own."""
    if op.name == base.name:
        return False
    calls = (node.func for node in ast.walk(ast.parse(marked(op.text))) if isinstance(node, ast.Call))
    if base.name in {f.id for f in calls if isinstance(f, ast.Name)}:
        return True
    if len(base.equations) > 1 or _nodes(base) >= _nodes(op):
        return False
    parts = (node for e in op.equations for node in walk(e.rhs))
    return any(_Likeness(base.stars).trees(base.equations[0].rhs, part) for part in parts)


def _nodes(op: Op) -> int:
    return sum(1 for e in op.equations for _ in walk(e.rhs))


class _Likeness:
    """Compares trees that may differ in names and indices, where each of the first tree stands for the same everywhere."""

    def __init__(self, stars: frozenset[str]):
        """``stars`` are the indices of the first tree that stand for any number of indices of the second."""
        self.stars = stars
        self.names: dict[str, str] = {}
        self.indices: dict[str, tuple[Index, ...]] = {}

    def trees(self, one: Tree, other: Tree) -> bool:
        match one, other:
            case Read(name, index), Read(called, places):
                return self.name(name, called) and self.slots(index, places)
            case Match(a, b, equal), Match(c, d, same):
                return equal == same and self.slots((a, b), (c, d))
            case Reduce(kind, index, _), Reduce(word, places, _):
                if kind != word or not self.slots(index, places):
                    return False
            case Call(head, _), Call(word, _) if head != word:
                return False
        mine, theirs = children(one), children(other)
        if type(one) is not type(other) or len(mine) != len(theirs):
            return False
        return all(map(self.trees, mine, theirs)) if mine else one == other

    def name(self, one: str, other: str) -> bool:
        return self.names.setdefault(one, other) == other

    def slots(self, one: tuple[Index, ...], other: tuple[Index, ...]) -> bool:
        extra, place = len(other) - len(one), 0
        for i in one:
            width = 1 + (extra if i in self.stars else 0)
            if not self.slot(i, other[place : place + width]):
                return False
            place += width
        return place == len(other)

    def slot(self, one: Index, other: tuple[Index, ...]) -> bool:
        if isinstance(one, str):
            return self.indices.setdefault(one, other) == other
        return (
            len(other) == 1
            and isinstance(other[0], Lookup)
            and self.trees(Read(one.name, one.index), Read(other[0].name, other[0].index))
        )
