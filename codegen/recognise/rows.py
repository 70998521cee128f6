"""Recognise inequalities of indices that bound loops: ``j <= i`` in ``sum[j](where(j <= i, x[j]*w[i, j], 0))``.

Whoever loops over ``i`` and inside over ``j`` needs no test: the inner loop ends at ``i``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from codegen.program import Statement
from derive import syntax as st
from derive.syntax import on_indices
from derive.terms.comparisons import comparison, form_of
from derive.terms.forms import Form, Part, combined

__all__ = ["Row", "Support", "assuming", "ordered", "rows_of", "support", "supports", "under"]

ZERO = st.Num(Fraction(0))
#: The indices of a value, and the rows outside of which the value is 0.
Support = tuple[tuple[str, ...], frozenset["Row"]]


@dataclass(frozen=True)
class Row:
    """``form <= 0`` or, if ``strict``, ``form < 0``; of indices, lengths, constants of the op and whole numbers.

    Without a constant, which need not be a whole number, a row is never strict.
    """

    form: Form
    strict: bool = False

    @staticmethod
    def of(tree: st.Tree) -> Row | None:
        """The row that a condition is; None for any other condition."""
        if not isinstance(tree, st.Compare) or not on_indices(tree) or tree.rel not in ("<=", "<", ">=", ">"):
            return None
        left, right = form_of(tree.left), form_of(tree.right)
        if left is None or right is None:
            return None
        form = left.plus(right.scaled(-1))
        if not all(isinstance(i, str) for i in form.indices()):
            return None
        return _row(form if tree.rel[0] == "<" else form.scaled(-1), not tree.rel[1:])

    @property
    def tree(self) -> st.Compare:
        return comparison("<" if self.strict else "<=", self.form)

    @property
    def indices(self) -> frozenset[str]:
        return frozenset(map(str, self.form.indices()))

    @property
    def negated(self) -> Row:
        return _row(self.form.scaled(-1), not self.strict)

    def renamed(self, to: Mapping[str, str]) -> Row:
        return Row(self.form.mapped(lambda i: to.get(i, i) if isinstance(i, str) else i), self.strict)

    def coefficient(self, index: str) -> int:
        """The coefficient of an index; 0 where the row has it not at all, or times a length or a constant."""
        return next((c for part, c in self.form.parts if part == Part(index)), 0)

    def without(self, index: str) -> Form:
        """The form without an index."""
        return combined([(part, c) for part, c in self.form.parts if part.index != index], self.form.offset)

    def bound(self, loops: Sequence[str]) -> str:
        """The innermost of the loops that the row speaks of, if the row bounds it; "" where it does not.

        The outermost loop has no bounds, since workers share it.
        """
        inner = next((i for i in reversed(loops) if i in self.indices), "")
        bounds = self.indices <= set(loops) and inner in loops[1:] and abs(self.coefficient(inner)) == 1
        return inner if bounds else ""


def _row(form: Form, strict: bool) -> Row:
    whole = next(form.constants(), None) is None
    return Row(form.plus(1), False) if strict and whole else Row(form, strict)


# ---- reductions ------------------------------------------------------------------------------------------------------------


def rows_of(tree: st.Reduce) -> tuple[tuple[Row, ...], st.Tree]:
    """The rows of a reduction's own indices under which a term counts, and the term; () and the body where there are none."""
    neutral = st.NEUTRAL["sum" if tree.kind == "mean" else tree.kind]
    found: list[Row] = []

    def rest(term: st.Tree) -> st.Tree:
        match term:
            case st.Call("where", (condition, body, other)) if other == neutral:
                row = Row.of(condition)
                if row and row.indices & set(tree.index):
                    found.append(row)
                    return rest(body)
                return st.Call("where", (condition, rest(body), other))
            case st.Mul((first, *others)) if neutral == ZERO:
                return st.Mul((rest(first), *map(rest, others)))
            case st.Neg(a) if neutral == ZERO:
                return st.Neg(rest(a))
        return term

    body = rest(tree.body)
    return tuple(dict.fromkeys(found)), body


def under(rows: Iterable[Row], tree: st.Tree, kind: str = "sum") -> st.Tree:
    """The terms of a reduction, which are neutral outside of the rows."""
    for row in rows:
        tree = st.Call("where", (row.tree, tree, st.NEUTRAL["sum" if kind == "mean" else kind]))
    return tree


def assuming(rows: Collection[Row], tree: st.Tree) -> st.Tree:
    """The expression where rows hold, without tests of them."""
    match tree:
        case st.Call("where", (condition, a, b)) if (row := Row.of(condition)) is not None:
            if row in rows:
                return assuming(rows, a)
            if row.negated in rows:
                return assuming(rows, b)
    return st.rebuild(tree, lambda child: assuming(rows, child)) if rows else tree


# ---- values that are 0 outside of rows -------------------------------------------------------------------------------------


def support(tree: st.Tree, known: Mapping[str, Support]) -> frozenset[Row]:
    """The rows outside of which an expression is 0, as far as its form tells; ``known`` are those of names that it reads."""

    def of(tree: st.Tree) -> frozenset[Row]:
        match tree:
            case st.Call("where", (condition, a, b)) if ZERO in (a, b):
                row = Row.of(condition)
                own = frozenset({row if b == ZERO else row.negated}) if row else frozenset[Row]()
                return own | of(a if b == ZERO else b)
            case st.Indicator(condition) if row := Row.of(condition):
                return frozenset({row})
            case st.Mul(args):
                return frozenset().union(*map(of, args))
            case st.Neg(a) | st.Call("stop", (a,)):
                return of(a)
            case st.Reduce("sum" | "mean", index, body):
                return frozenset(row for row in of(body) if not row.indices & set(index))
            case st.Read(name, index) if name in known and _plain(index):
                own_index, rows = known[name]
                to = dict(zip(own_index, map(str, index), strict=True))
                return frozenset(row.renamed(to) for row in rows)
        return frozenset()

    return of(tree)


def supports(statements: Iterable[Statement]) -> dict[str, tuple[st.Compare, ...]]:
    """The conditions on indices without which a statement's value is 0, by the statement's name."""
    known: dict[str, Support] = {}
    for s in statements:
        known[s.name] = s.index, frozenset(row for row in support(s.tree, known) if row.indices <= set(s.index))
    return {name: tuple(row.tree for row in ordered(rows)) for name, (_, rows) in known.items()}


def ordered(rows: Iterable[Row]) -> list[Row]:
    """Rows in an order that depends on nothing but the rows."""
    return sorted(rows, key=lambda row: (row.form.order(), row.strict))


def _plain(index: tuple[st.Index, ...]) -> bool:
    """Whether a read has an index of its own in each slot."""
    return all(isinstance(i, str) for i in index) and len(set(index)) == len(index)
