"""Trees evaluated in floats at many points at once. Each operation is rounded to a working precision.

A table lists the elements of a tensor: point by point, and for each point in row-major order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from math import inf, pi, prod
from operator import add, itemgetter, mul, neg
from typing import NamedTuple

from derive import syntax as st
from derive.functions.doubles import power
from derive.functions.records import RECORDS
from derive.language.assumptions import HOLDS
from derive.strain.floats import Round, extreme, number, powers, quotients

__all__ = ["Evaluation", "Grid", "Table"]

#: The number of subtrees whose values are cached.
KEPT = 512

#: The values of reductions over no elements; that of a mean is still to be divided by the number of elements, 0.
OF_NOTHING = {"sum": 0.0, "mean": 0.0, "max": -inf, "min": inf, "prod": 1.0}


class Table(NamedTuple):
    """The entries of a tensor at every point, and an index for each of its axes."""

    index: tuple[str, ...]  # type: ignore[assignment]  # hides tuple.index, which nothing here calls
    entries: list[float]


class Grid:
    """The lengths of the axes and the number of points."""

    def __init__(self, sizes: Mapping[str, int], points: int):
        self.sizes, self.points = dict(sizes), points
        self.places: dict[tuple[tuple[str, ...], tuple[str, ...]], list[int]] = {}

    def length(self, index: str) -> int:
        return self.sizes[st.axis_of(index)]

    def count(self, index: Sequence[str]) -> int:
        """The number of entries at one point of a tensor with these indices."""
        return prod(map(self.length, index))

    def spread(self, table: Table, index: tuple[str, ...]) -> list[float]:
        """The entries of a table, repeated at every position of ``index``. ``index`` must have all of the table's indices."""
        if table.index == index:
            return table.entries
        places = self.gather(table.index, index)
        return list(itemgetter(*places)(table.entries)) if len(places) > 1 else [table.entries[k] for k in places]

    def gather(self, own: tuple[str, ...], index: tuple[str, ...]) -> list[int]:
        """For every point and every position of ``index``, the place of the entry of a table over ``own``."""
        key = (own, index)
        if key not in self.places:
            slots = [index.index(i) for i in own]
            lengths = [self.length(i) for i in own]
            one = [_flat([at[s] for s in slots], lengths) for at in product(*(range(self.length(i)) for i in index))]
            count = self.count(own)
            self.places[key] = [p * count + k for p in range(self.points) for k in one]
        return self.places[key]


class Evaluation:
    """Evaluates trees over named tables in one working precision; names can be added.

    The values of subtrees are cached, as different forms of a line have most of their subtrees in common.
    """

    def __init__(self, grid: Grid, tables: Mapping[str, Table], rounded: Round):
        self.grid, self.tables, self.rounded = grid, dict(tables), rounded
        self.known: dict[st.Tree, Table] = {}

    def define(self, name: str, index: tuple[str, ...], tree: st.Tree) -> list[float]:
        """Evaluate ``name[index] = tree`` and add the name to the tables. Returns its entries."""
        entries = self.value(tree, index)
        self.tables[name] = Table(index, entries)
        return entries

    def value(self, tree: st.Tree, index: tuple[str, ...]) -> list[float]:
        """The values of an expression at every position of ``index`` (KeyError for a name without a table)."""
        return self.grid.spread(self.table(tree), index)

    def table(self, tree: st.Tree) -> Table:
        if isinstance(tree, (st.Num, st.Read)):
            return self.evaluated(tree)
        found = self.known.get(tree)
        if found is None:
            found = self.evaluated(tree)
            if len(self.known) >= KEPT:
                self.known.clear()
            self.known[tree] = found
        return found

    def evaluated(self, tree: st.Tree) -> Table:
        match tree:
            case st.Num() | st.Const() | st.Size():
                return self.constant(self.scalar(tree))
            case st.Read(name, index):
                return self.read(name, index)
            case st.Neg(a):
                t = self.table(a)
                return Table(t.index, list(map(neg, t.entries)))
            case st.Add(args):
                return self.chained(args, add)
            case st.Mul(args):
                return self.chained(args, mul)
            case st.Div(a, b):
                index, (above, below) = self.columns([self.table(a), self.table(b)])
                return Table(index, self.rounded(quotients(above, below)))
            case st.Pow(a, st.Num(e)):
                exponent, t = number(e), self.table(a)
                return Table(t.index, self.rounded(powers(t.entries, exponent)))
            case st.Reduce(kind, index, body):
                return self.reduced(kind, index, self.table(body))
            case st.Compare(rel, a, b):
                return self.compared(rel, self.table(a), self.table(b))
            case st.Match(a, b, equal):
                return self.compared("==" if equal else "!=", self.position(a), self.position(b))
            case st.Position(index):
                return self.position(index)
            case st.Indicator(cond):
                return self.table(cond)
            case st.Call(head, args):
                return self.called(head, [self.table(a) for a in args])
        raise TypeError(f"no value for {tree}")

    def scalar(self, tree: st.Num | st.Const | st.Size) -> float:
        match tree:
            case st.Num(value):
                return number(value)
            case st.Size(axis):
                return float(self.grid.length(axis))
        return pi if tree == st.Const("pi") else inf

    def called(self, head: str, args: list[Table]) -> Table:
        if head == "where":
            index, columns = self.columns(args)
            return Table(index, [a if c else b for c, a, b in zip(*columns, strict=True)])
        if head in ("maximum", "minimum"):
            choose = max if head == "maximum" else min
            return self.joined(args, lambda a, b: extreme(choose, a, b))
        if head == "power":
            index, columns = self.columns(args)
            return Table(index, self.rounded([power(a, k) for a, k in zip(*columns, strict=True)]))
        (t,) = args
        return Table(t.index, self.rounded(list(map(RECORDS[head].double, t.entries))))

    def constant(self, value: float) -> Table:
        return Table((), self.rounded([value]) * self.grid.points)

    def columns(self, parts: Sequence[Table]) -> tuple[tuple[str, ...], list[list[float]]]:
        """All indices of several tensors, and the entries of each tensor at every position of these indices."""
        index = tuple(dict.fromkeys(i for t in parts for i in t.index))
        return index, [self.grid.spread(t, index) for t in parts]

    def joined(self, parts: Sequence[Table], function: Callable[..., float]) -> Table:
        """A function of several tensors, applied at every position; its result is rounded once."""
        index, columns = self.columns(parts)
        return Table(index, self.rounded(list(map(function, *columns))))

    def compared(self, rel: str, one: Table, other: Table) -> Table:
        """1 where a comparison holds, and 0 where it does not."""
        index, columns = self.columns([one, other])
        return Table(index, list(map(float, map(HOLDS[rel], *columns))))

    def chained(self, args: tuple[st.Tree, ...], function: Callable[[float, float], float]) -> Table:
        """A binary operation applied from left to right, with each result rounded."""
        out = self.table(args[0])
        for a in args[1:]:
            out = self.joined([out, self.table(a)], function)
        return out

    def reduced(self, kind: str, index: tuple[str, ...], body: Table) -> Table:
        """A reduction, in the order of positions, with each partial result rounded."""
        rest = tuple(i for i in body.index if i not in index)
        count = self.grid.count(index)
        entries = self.grid.spread(body, (*rest, *(i for i in index)))
        columns = [entries[k::count] for k in range(count)]
        out = columns[0] if columns else [OF_NOTHING[kind]] * (self.grid.points * self.grid.count(rest))
        choose = max if kind == "max" else min
        for column in columns[1:]:
            if kind in ("max", "min"):
                out = [extreme(choose, a, b) for a, b in zip(out, column, strict=True)]
            else:
                out = self.rounded(list(map(mul if kind == "prod" else add, out, column)))
        return Table(rest, self.rounded(quotients(out, [float(count)] * len(out))) if kind == "mean" else out)

    # ---- reads -----------------------------------------------------------------------------------------------------

    def read(self, name: str, index: tuple[st.Index, ...]) -> Table:
        own = self.tables[name]
        if all(isinstance(i, str) for i in index) and len(set(index)) == len(index):
            return Table(tuple(map(str, index)), own.entries)
        free = tuple(dict.fromkeys(n for i in index for n in st.index_names(i)))
        slots = [self.grid.spread(self.position(i), free) for i in index]
        lengths = [self.grid.length(a) for a in own.index]
        count, per_point = prod(lengths), self.grid.count(free)
        entries = [
            own.entries[k // per_point * count + _flat([int(i) for i in at], lengths)]
            for k, at in enumerate(zip(*slots, strict=True))
        ]
        return Table(free, entries)

    def position(self, index: st.Index) -> Table:
        """The value of an index: its position, or for a lookup the label that is read."""
        if isinstance(index, st.Lookup):
            return self.read(index.name, index.index)
        return Table((index,), [float(k) for k in range(self.grid.length(index))] * self.grid.points)


def _flat(at: Sequence[int], lengths: Sequence[int]) -> int:
    """The place of a position in row-major order. A label outside of its axis counts as the nearest one inside."""
    place = 0
    for k, n in zip(at, lengths, strict=True):
        place = place * n + min(max(k, 0), n - 1)
    return place
