"""Affine reads: an index that is a sum of positions, as in ``x[n, c, i*stride + k - pad]``, ``x[i - 1]`` and ``x[n, p, 0]``.

An affine read is a plain read under a row: the element ``x[l]`` where ``l == i + k - pad``, and nothing where no ``l`` is.
A read outside its axis is absent, by one rule:

- Inside a reduction, an element of the nearest one takes no part where a read of it is absent. ``sum[k](x[i + k]*w[k])`` is
  ``sum[k, l](where(l == i + k, x[l]*w[k], 0))``. A maximum or a minimum ignores such an element, and a mean or a
  variance divides by the number of the others. If the body has several affine reads, all must be there.
- Outside every reduction an absent read is 0, also in an argument of an op: ``x[i - 1]`` is
  ``sum[l](where(l == i - 1, x[l], 0))``.

The maximum or product of a window has rows without the window's index: ``max[k](x[i + k])`` is the maximum over the ``l`` that
are at least ``i`` and less than ``i + size(k)``, as each of them is read once.

A reader cannot know the nearest reduction while it reads, as ``var[k](...)`` is only then written out. So a read is first a
reduction of the kind :data:`THERE`, and :func:`attached` moves its row to where it belongs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from derive.functions.words import LINEAR
from derive.syntax import (
    NEUTRAL,
    Add,
    Call,
    Compare,
    Div,
    Index,
    Mul,
    Neg,
    Num,
    Position,
    Reduce,
    Size,
    Tree,
    axis_of,
    children,
    free_indices,
    fresh_index,
    own_indices,
    product,
    rebuild,
    rename,
)

__all__ = ["COUNT", "THERE", "Row", "as_written", "attached", "signed_terms", "there"]

#: The kind of a reduction that is an affine read: its body is ``where(l == form, x[l], 0)``. No later stage sees it.
THERE = "there"
#: The kind of a reduction that is the number of its elements that are there. No later stage sees it either.
COUNT = "count"
ZERO, ONE = Num(Fraction(0)), Num(Fraction(1))


@dataclass(frozen=True)
class Row:
    """The index of an affine slot, and the position at which it reads."""

    index: str
    at: Tree

    @property
    def condition(self) -> Compare:
        return Compare("==", Position(self.index), self.at)


def there(read: Tree, rows: list[Row]) -> Tree:
    """An affine read, until :func:`attached` finds its reduction. A row may mention the indices of the rows before it."""
    for row in reversed(rows):
        read = Reduce(THERE, (row.index,), Call("where", (row.condition, read, ZERO)))
    return read


def attached(tree: Tree, scope: frozenset[str] = frozenset()) -> Tree:
    """The expression with every affine read as a plain one; ``scope`` are the indices of the reductions around it."""
    match tree:
        case Reduce(kind, index, body) if kind == THERE:
            return Reduce("sum", index, rebuild(body, lambda part: attached(part, scope | {*index})))
        case Reduce(kind, index, body):
            joined = _Joined(scope | {*index, *_names(body), *free_indices(tree)})
            return joined.closed(kind, index, joined.body(body))
    return rebuild(tree, lambda part: attached(part, scope))


def as_written(tree: Tree) -> tuple[str, ...]:
    """The free indices in the order in which they are written: those of an affine slot where the slot stands."""
    found: dict[str, None] = {}

    def visit(node: Tree, slots: Mapping[str, tuple[str, ...]]) -> None:
        match node:
            case Reduce(kind, (index,), Call("where", (Compare(_, _, at), read, _))) if kind == THERE:
                own = (i for name in free_indices(at) for i in slots.get(name, (name,)))
                visit(read, {**slots, index: tuple(own)})
                return
            case Reduce(_, index, _):
                slots = {**slots, **dict.fromkeys(index, ())}
        for name in own_indices(node):
            found.update(dict.fromkeys(slots.get(name, (name,))))
        for part in children(node):
            visit(part, slots)

    visit(tree, {})
    return tuple(found)


def _names(tree: Tree) -> Iterator[str]:
    """The indices in an expression, without those of its affine reads."""
    if isinstance(tree, Reduce) and tree.kind == THERE:
        yield from (n for n in _names(tree.body) if n not in tree.index)
        return
    yield from own_indices(tree)
    yield from tree.index if isinstance(tree, Reduce) else ()
    for part in children(tree):
        yield from _names(part)


@dataclass
class _Joined:
    """The rows that join one reduction. Reads at one position of one axis share a row; ``taken`` are names of indices."""

    taken: frozenset[str]
    rows: dict[tuple[str, Tree], Row] = field(default_factory=dict)

    def body(self, tree: Tree) -> Tree:
        match tree:
            case Reduce(kind, (index,), Call("where", (Compare(_, _, at), read, _))) if kind == THERE:
                row = self.row(axis_of(index), at)
                to: dict[str, Index] = {index: row.index}
                return self.body(rename(read, to))
            case Reduce():
                return attached(tree, self.scope)
        return rebuild(tree, self.body)

    @property
    def scope(self) -> frozenset[str]:
        return self.taken | {r.index for r in self.rows.values()}

    def row(self, axis: str, at: Tree) -> Row:
        if (axis, at) not in self.rows:
            self.rows[axis, at] = Row(fresh_index(axis, set(self.scope)), at)
        return self.rows[axis, at]

    def closed(self, kind: str, index: tuple[str, ...], body: Tree) -> Tree:
        """The reduction of a body whose affine reads have joined."""
        rows = list(self.rows.values())
        if kind == COUNT:
            return self.count(index, rows)
        if not rows:
            return Reduce(kind, index, body)
        if kind not in LINEAR:
            return _confined(kind, index, body, rows)
        every = (*index, *(r.index for r in rows))
        if kind != "mean":
            return Reduce(kind, every, _guarded([r.condition for r in rows], body, NEUTRAL[kind]))
        return Div(Reduce("sum", every, _guarded([r.condition for r in rows], body, ZERO)), self.count(index, rows))

    def count(self, index: tuple[str, ...], rows: list[Row]) -> Tree:
        """How many elements of a reduction are there."""
        if not rows:
            return product([Size(axis_of(i)) for i in index])
        one = _guarded([r.condition for r in rows], ONE, ZERO)
        used = free_indices(one)
        sizes = [Size(axis_of(i)) for i in index if i not in used]
        inner = tuple(i for i in index if i in used) + tuple(r.index for r in rows)
        return Mul((*sizes, Reduce("sum", inner, one))) if sizes else Reduce("sum", inner, one)


def _confined(kind: str, index: tuple[str, ...], body: Tree, rows: list[Row]) -> Tree:
    """The maximum, minimum or product of a body where its affine reads are there.

    The index of a row takes the place of an index that nothing else mentions. Elsewhere a row has a sum of its own; only where
    its position has no index either, and is not the first, its index joins the reduction.
    """
    conditions: list[Compare] = []
    for row in rows:
        others = {*free_indices(body), *(i for r in rows if r is not row for i in free_indices(r.at))}
        found = next(((k, at) for k in index if k not in others and (at := _solved(row, k)) is not None), None)
        if found is not None:
            k, at = found
            conditions += _within(at, axis_of(k))
            index = tuple(row.index if i == k else i for i in index)
        elif not free_indices(row.at) and row.at != ZERO:
            conditions.append(row.condition)
            index = (*index, row.index)
        else:
            conditions += _within(row.at, axis_of(row.index)) if row.at != ZERO else []  # an axis has a first position
            body = Reduce("sum", (row.index,), Call("where", (row.condition, body, ZERO)))
    return Reduce(kind, index, _guarded(conditions, body, NEUTRAL[kind]))


def _within(at: Tree, axis: str) -> list[Compare]:
    """The conditions that a position is one of the axis."""
    return [Compare(">=", at, ZERO), Compare("<", at, Size(axis))]


def _solved(row: Row, k: str) -> Tree | None:
    """The position ``k`` for which a row holds, where it stands alone in one term of the row; else None."""
    terms = list(signed_terms(row.at, 1))
    own = [sign for sign, term in terms if term == Position(k)]
    rest = [(sign, term) for sign, term in terms if term != Position(k)]
    if len(own) != 1 or any(k in free_indices(term) for _, term in rest):
        return None
    signed = [(own[0], Position(row.index)), *((-own[0] * sign, term) for sign, term in rest)]
    parts = tuple(term if sign > 0 else Neg(term) for sign, term in signed)
    return parts[0] if len(parts) == 1 else Add(parts)


def signed_terms(tree: Tree, sign: int) -> Iterator[tuple[int, Tree]]:
    """The terms of a sum with their signs."""
    match tree:
        case Add(args):
            for a in args:
                yield from signed_terms(a, sign)
        case Neg(a):
            yield from signed_terms(a, -sign)
        case _:
            yield sign, tree


def _guarded(conditions: list[Compare], body: Tree, absent: Tree) -> Tree:
    for condition in reversed(conditions):
        body = Call("where", (condition, body, absent))
    return body
