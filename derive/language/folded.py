"""An expression by the names that its author has given to parts of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from fractions import Fraction

from derive.syntax import Equation
from derive.trees import Const, Index, Lookup, Match, Neg, Num, Position, Read, Reduce, Size, Tree, children, rebuild

__all__ = ["folded"]


def folded(tree: Tree, equations: Iterable[Equation]) -> Tree:
    """The expression with the name of an equation wherever its right side stands: ``mu[n]`` for ``mean[d](x[n, d])``.

    The parts of a part are folded first, so that equations fold in the order in which they use each other.
    """
    known = [e for e in equations if not isinstance(e.rhs, Read | Num | Const | Size | Neg)]

    def fold(node: Tree) -> Tree:
        node = rebuild(node, fold)
        for e in known:
            to: dict[str, str] = {}
            if _equal(e.rhs, node, to, {}) and all(i in to for i in e.index):
                return Read(e.name, tuple(to[i] for i in e.index))
        return node

    return fold(tree) if known else tree


def _equal(a: Tree, b: Tree, to: dict[str, str], bound: Mapping[str, str]) -> bool:
    """Whether ``b`` is ``a`` with its free indices renamed by ``to``, which is completed; ``bound`` renames the bound ones."""
    if isinstance(a, Reduce) and isinstance(b, Reduce):
        renamed = {**bound, **dict(zip(a.index, b.index, strict=False))}
        return a.kind == b.kind and len(a.index) == len(b.index) and _equal(a.body, b.body, to, renamed)
    parts, others = children(a), children(b)
    if type(a) is not type(b) or _own(a) != _own(b) or len(parts) != len(others):
        return False
    same = all(_equal(x, y, to, bound) for x, y in zip(parts, others, strict=True))
    return same and _indices(_slots(a), _slots(b), to, bound)


#: The fields of a node that hold indices.
_SLOTS: Mapping[type, tuple[str, ...]] = {Read: ("index",), Position: ("index",), Match: ("left", "right")}


def _slots(node: Tree) -> tuple[Index, ...]:
    if isinstance(node, Read):
        return node.index
    return tuple(getattr(node, name) for name in _SLOTS.get(type(node), ()))


def _own(node: Tree) -> list[object]:
    """What a node has beside its parts and its indices: its name, its number, its relation."""
    names = [f.name for f in fields(node) if f.name not in _SLOTS.get(type(node), ())]
    return [v for v in (getattr(node, n) for n in names) if isinstance(v, str | int | Fraction)]


def _indices(a: tuple[Index, ...], b: tuple[Index, ...], to: dict[str, str], bound: Mapping[str, str]) -> bool:
    return len(a) == len(b) and all(_index(i, j, to, bound) for i, j in zip(a, b, strict=True))


def _index(i: Index, j: Index, to: dict[str, str], bound: Mapping[str, str]) -> bool:
    if isinstance(i, Lookup):
        return isinstance(j, Lookup) and i.name == j.name and _indices(i.index, j.index, to, bound)
    if isinstance(j, Lookup):
        return False
    if i in bound:
        return bound[i] == j
    return j not in bound.values() and to.setdefault(i, j) == j
