"""A reduction under conditions on indices, and which index an equality row of it determines.

Two inequalities that say ``0 <= form < size(k)`` are read as the row ``form == k`` with a further index ``k``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import permutations
from typing import NamedTuple

from derive import syntax as st
from derive.show.placed import at_position, replaceable
from derive.terms.atoms import row
from derive.terms.comparisons import form_of
from derive.terms.determined import solvable
from derive.terms.forms import Form, Part, combined

__all__ = ["Loop", "Solution"]


class Solution(NamedTuple):
    """The position ``at`` of a bound index, by ``rows``, and the index ``added`` that these rows give a range, if any."""

    bound: str
    at: Form
    rows: tuple[st.Tree, ...]
    added: tuple[str, ...] = ()


@dataclass(frozen=True)
class Loop:
    """The reduction of ``body`` over the elements at which all ``conditions`` hold."""

    kind: str
    index: tuple[str, ...]
    conditions: tuple[st.Tree, ...]
    body: st.Tree

    @staticmethod
    def of(tree: st.Reduce) -> Loop:
        conditions, body = list[st.Tree](), tree.body
        while isinstance(body, st.Call) and body.head == "where" and body.args[2] == st.NEUTRAL.get(tree.kind):
            conditions.append(body.args[0])
            body = body.args[1]
        return Loop(tree.kind, tree.index, tuple(conditions), body)

    @property
    def guarded(self) -> st.Tree:
        """The body of the reduction."""
        tree = self.body
        for c in reversed(self.conditions):
            tree = st.Call("where", (c, tree, st.NEUTRAL[self.kind]))
        return tree

    def without(self, solution: Solution) -> Loop:
        """The loop without an index, and without the rows that determine it."""
        bound, at, rows, added = solution
        index = (*(i for i in self.index if i != bound), *added)
        conditions = (at_position(c, bound, at) for c in self.conditions if c not in rows)
        return Loop(self.kind, index, tuple(conditions), at_position(self.body, bound, at))

    def solution(self, size: Callable[[str], int], alone: bool) -> Solution | None:
        """The index to leave out: of equality rows the one with the longest axis, else one with a range; None if there is none.

        ``alone`` says whether no index need be left.
        """
        found = [s for s in (*self.determined(), *self.ranged()) if self.solves(s, alone)]
        place = {i: k for k, i in enumerate(st.free_indices(self.body))}  # read first are the adjoints that are sent on
        return min(
            found,
            key=lambda s: (len(s.added), -size(st.axis_of(s.bound)), *_reading(s), place.get(s.bound, len(place))),
            default=None,
        )

    def determined(self) -> Iterator[Solution]:
        """The solutions of equality rows."""
        for c in self.conditions:
            if (found := _row(c)) is not None and found[0] == "==":
                yield from self.solutions(found[1], (c,))

    def ranged(self) -> Iterator[Solution]:
        """The solutions of two inequalities that give a range to an index."""
        rows = [(c, found[1]) for c in self.conditions if (found := _row(c)) is not None and found[0] == "<="]
        for (c, below), (d, above) in permutations(rows, 2):
            match below.plus(above):
                case Form(((Part(None, (length,)), -1),), 1) if length.startswith("#"):
                    k = st.fresh_index(length[1:], self.names)
                    yield from self.solutions(below.plus(Form(((Part(k), 1),))), (c, d), (k,))

    @property
    def names(self) -> set[str]:
        """The indices of the loop and of its parts."""
        nodes = [n for tree in (*self.conditions, self.body) for n in st.walk(tree)]
        return {*self.index, *(i for n in nodes for i in (*st.own_indices(n), *(n.index if isinstance(n, st.Reduce) else ())))}

    def solutions(self, form: Form, rows: tuple[st.Tree, ...], added: tuple[str, ...] = ()) -> Iterator[Solution]:
        """The positions of the loop's indices where a form is 0."""
        for bound in solvable(form):
            if bound in self.index:
                ((part, c),) = [(p, c) for p, c in form.parts if p.index == bound]
                yield Solution(str(bound), form.plus(combined([(part, -c)])).scaled(-c), rows, added)

    def solves(self, solution: Solution, alone: bool) -> bool:
        """Whether the loop without an index has the same value: its reads are absent where the index has no element."""
        bound, _, rows, added = solution
        trees = [*(c for c in self.conditions if c not in rows), self.body]
        if _equates(solution) or not all(replaceable(tree, bound) for tree in trees):
            return False
        if len(self.index) > 1 or added:
            return any(_absent(tree, bound, self.kind) for tree in trees)
        return alone and self.kind == "sum" and _vanishes(self.body, bound)


def _row(tree: st.Tree) -> tuple[str, Form] | None:
    """The relation of a form to 0 that a condition on indices states; None for any other condition."""
    if not isinstance(tree, st.Compare) or not st.on_indices(tree):
        return None
    left, right = form_of(tree.left), form_of(tree.right)
    if left is None or right is None:
        return None
    found = row(tree.rel, left.plus(right.scaled(-1)))
    return None if found.form is None else (found.rel, found.form)


def _equates(solution: Solution) -> bool:
    """Whether a read at the position would say that two axes have one length, as ``x[n]`` does of an ``x[i]``."""
    match solution.at:
        case Form(((Part(str() as index, ()), 1),), 0):
            return st.axis_of(index) != st.axis_of(solution.bound)
    return False


def _reading(solution: Solution) -> tuple[int, int]:
    """How hard the position is to read: its terms where it has a range, which runs up or down, and its negative terms."""
    parts = solution.at.parts
    return len(parts) if solution.added else 0, sum(c < 0 for part, c in parts if part.index is not None)


def _absent(tree: st.Tree, bound: str, kind: str) -> bool:
    """Whether an element of a reduction takes no part where a bound index has no element."""
    match tree:
        case st.Reduce("sum", _, body) if kind == "sum":  # nothing is left of it, and it is a factor of the element
            return _absent(body, bound, "")
        case st.Reduce():
            return False
        case st.Mul() | st.Neg():
            return any(_absent(part, bound, kind) for part in st.children(tree))
    return _reads(tree, bound) or any(_absent(part, bound, "") for part in st.children(tree))


def _vanishes(tree: st.Tree, bound: str) -> bool:
    """Whether a product is 0 where its reads at a bound index are 0, whatever they are multiplied by."""
    match tree:
        case st.Mul(args):
            having = [a for a in args if bound in st.free_indices(a)]
            return bool(having) and all(_vanishes(a, bound) for a in having)
        case st.Neg(arg):
            return _vanishes(arg, bound)
        case st.Div(above, below):
            return bound not in st.free_indices(below) and _vanishes(above, bound)
        case st.Pow(base, st.Num(value)):
            return value > 0 and _vanishes(base, bound)
    return _reads(tree, bound)


def _reads(tree: st.Tree, bound: str) -> bool:
    """Whether a tree is a read that has a bound index in a slot."""
    match tree:
        case st.Read(_, index):
            return bound in index
        case st.AffineRead(_, slots):
            return st.Position(bound) in slots
    return False
