"""Sums and extrema as readers see them: with an equality row solved, ``sum[c, k](x[n, c, i + k - pad]*W[o, c, k])``.

The engine keeps rows: ``sum[c, k, l](where(l == i + k - pad, x[n, c, l]*W[o, c, k], 0))``. For readers, a row goes with
an index that it determines, and reads at that index become reads at a sum of positions (:class:`derive.trees.AffineRead`).
Where such a read is absent, an element takes no part in the reduction: that is what the row and the axis of the index said.

Of several indices with coefficient 1 or -1 the one with the longest axis goes, then the one whose position has the fewest
negative terms, then the one that is read first. A row stays where no index of its reduction has such a coefficient, and where
no read has the index: then nothing would say which positions its axis has.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from derive import syntax as st
from derive.show.loop import Loop
from derive.show.steps import first_slots, in_steps
from derive.terms.factoring import DEFAULT_SIZE

__all__ = ["equations", "in_op", "left_of", "solved"]

Size = Callable[[str], int]


def equations(op: st.Op) -> tuple[st.Equation, ...]:
    """The equations of an op for readers."""
    return tuple(st.Equation(*left_of(op, e.name, e.index), in_op(op, e.rhs), e.line) for e in op.equations)


def left_of(op: st.Op, name: str, index: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """The left side of an equation for readers: that of a first value is ``h[n, -1, k]``."""
    return first_slots(op, name) or (name, index)


def in_op(op: st.Op, tree: st.Tree) -> st.Tree:
    """An expression of an op for readers."""
    sizes = dict(op.sizes)
    tree = in_steps(op, tree) if op.carries else tree
    return solved(tree, lambda axis: sizes.get(axis, DEFAULT_SIZE))


def solved(tree: st.Tree, size: Size) -> st.Tree:
    """The expression for readers; ``size`` gives the length of an axis."""
    if not any(isinstance(node, st.Compare) and st.on_indices(node) for node in st.walk(tree)):
        return tree
    return _Solver(size).outside(tree)


@dataclass(frozen=True)
class _Solver:
    size: Size

    def outside(self, tree: st.Tree) -> st.Tree:
        """An expression outside of every reduction, where an absent read is 0."""
        return self.reduction(tree, self.outside) if isinstance(tree, st.Reduce) else st.rebuild(tree, self.outside)

    def factor(self, tree: st.Tree) -> st.Tree:
        """A factor of the elements of a sum: where it has an absent read, its element takes no part, as if the read were 0."""
        match tree:
            case st.Reduce():
                return self.reduction(tree, self.factor)
            case st.Mul() | st.Neg():
                return st.rebuild(tree, self.factor)
            case st.Div(above, below):
                return st.Div(self.factor(above), self.inside(below))
            case st.Call("where", (c, yes, st.Num(0) as no)):
                return st.Call("where", (self.inside(c), self.factor(yes), no))
        return self.inside(tree)

    def inside(self, tree: st.Tree) -> st.Tree:
        """Any other part of the elements of a reduction, where an absent read must have a reduction of its own."""
        return self.reduction(tree, None) if isinstance(tree, st.Reduce) else st.rebuild(tree, self.inside)

    def reduction(self, tree: st.Reduce, alone: Callable[[st.Tree], st.Tree] | None) -> st.Tree:
        """A reduction without the rows that can be solved.

        ``alone`` displays a product that is left without a reduction; None where an absent read is not 0.
        """
        loop = Loop.of(tree)
        while (found := loop.solution(self.size, alone is not None)) is not None:
            loop = loop.without(found)
        if not loop.index:
            assert alone is not None
            return alone(loop.guarded)
        return st.Reduce(loop.kind, loop.index, (self.factor if loop.kind == "sum" else self.inside)(loop.guarded))
