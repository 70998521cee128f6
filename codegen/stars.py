"""An op in which ``*s`` stands for axes with names, or for none."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from derive import syntax as st

__all__ = ["spread"]

ONE = st.Num(Fraction(1))


def spread(op: st.Op, axes: tuple[str, ...]) -> st.Op:
    """The op with these axes in the place of ``*s``. Where there are none, sums over ``*s`` are none, and its length is 1."""
    return _Spread(op.stars, axes).op(op)


class _Spread:
    def __init__(self, stars: frozenset[str], axes: tuple[str, ...]):
        self.stars, self.axes = stars, axes

    def op(self, op: st.Op) -> st.Op:
        inputs, outputs, found = (tuple(map(self.tensor, group)) for group in (op.inputs, op.outputs, op.positions))
        equations = tuple(replace(e, index=self.plain(e.index), rhs=self.tree(e.rhs)) for e in op.equations)
        return replace(op, inputs=inputs, outputs=outputs, positions=found, equations=equations, stars=frozenset())

    def tensor(self, t: st.Tensor) -> st.Tensor:
        return replace(t, axes=self.plain(t.axes))

    def plain(self, index: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(j for i in index for j in self.spread(i))

    def spread(self, index: str) -> tuple[str, ...]:
        axis = st.axis_of(index)
        return tuple(a + index[len(axis) :] for a in self.axes) if axis in self.stars else (index,)

    def slots(self, index: tuple[st.Index, ...]) -> tuple[st.Index, ...]:
        return tuple(j for i in index for j in (self.spread(i) if isinstance(i, str) else (self.lookup(i),)))

    def slot(self, index: st.Index) -> st.Index:
        return index if isinstance(index, str) else self.lookup(index)

    def lookup(self, index: st.Lookup) -> st.Lookup:
        return st.Lookup(index.name, self.slots(index.index))

    def tree(self, tree: st.Tree) -> st.Tree:
        match tree:
            case st.Read(name, index):
                return st.Read(name, self.slots(index))
            case st.Size(axis) if axis in self.stars:
                return st.product(tuple(map(st.Size, self.axes)))
            case st.Match(left, right, equal):
                return st.Match(self.slot(left), self.slot(right), equal)
            case st.Position(index):
                return st.Position(self.slot(index))
            case st.Reduce(kind, index, body):
                found, inner = self.plain(index), self.tree(body)
                return st.Reduce(kind, found, inner) if found else inner
            case st.Mul(args):
                return st.product(tuple(a for a in map(self.tree, args) if a != ONE))
        return st.rebuild(tree, self.tree)
