"""Trees evaluated in floats at many points at once. Each operation is rounded to a working precision.

A table lists the elements of a tensor: point by point, and for each point in row-major order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from math import inf, pi, prod
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from derive import syntax as st
from derive.functions.doubles import power
from derive.functions.records import RECORDS
from derive.functions.words import PLACES
from derive.language.assumptions import HOLDS
from derive.strain.floats import Floats, Round, each, extreme, number, powers, silent

__all__ = ["Evaluation", "Grid", "Table"]

#: The number of subtrees whose values are cached.
KEPT = 512

#: The values of reductions over no elements; that of a mean is still to be divided by the number of elements, 0.
OF_NOTHING = {"sum": 0.0, "mean": 0.0, "max": -inf, "min": inf, "prod": 1.0}


class Table(NamedTuple):
    """The entries of a tensor at every point, and an index for each of its axes."""

    index: tuple[str, ...]  # type: ignore[assignment]  # hides tuple.index, which nothing here calls
    entries: Floats


class Grid:
    """The lengths of the axes and the number of points."""

    def __init__(self, sizes: Mapping[str, int], points: int):
        self.sizes, self.points = dict(sizes), points
        self.places: dict[tuple[tuple[str, ...], tuple[str, ...]], NDArray[np.intp]] = {}

    def length(self, index: str) -> int:
        return self.sizes[st.axis_of(index)]

    def count(self, index: Sequence[str]) -> int:
        """The number of entries at one point of a tensor with these indices."""
        return prod(map(self.length, index))

    def spread(self, table: Table, index: tuple[str, ...]) -> Floats:
        """The entries of a table, repeated at every position of ``index``. ``index`` must have all of the table's indices."""
        return table.entries if table.index == index else table.entries[self.gather(table.index, index)]

    def gather(self, own: tuple[str, ...], index: tuple[str, ...]) -> NDArray[np.intp]:
        """For every point and every position of ``index``, the place of the entry of a table over ``own``."""
        key = (own, index)
        if key not in self.places:
            at = np.indices([self.length(i) for i in index]).reshape(len(index), self.count(index))
            one = self.flat([at[index.index(i)] for i in own], own, self.count(index))
            self.places[key] = (np.arange(self.points)[:, None] * self.count(own) + one).reshape(-1)
        return self.places[key]

    def flat(self, at: Sequence[NDArray[np.intp]], own: Sequence[str], count: int) -> NDArray[np.intp]:
        """The places of ``count`` positions in row-major order. A label outside of its axis counts as the nearest one in it."""
        place = np.zeros(count, dtype=np.intp)
        for k, n in zip(at, map(self.length, own), strict=True):
            place = place * n + np.minimum(np.maximum(k, 0), n - 1)
        return place


class Evaluation:
    """Evaluates trees over named tables in one working precision; names can be added.

    The values of subtrees are cached, as different forms of a line have most of their subtrees in common.
    """

    def __init__(self, grid: Grid, tables: Mapping[str, Table], rounded: Round):
        self.grid, self.tables, self.rounded = grid, dict(tables), rounded
        self.known: dict[st.Tree, Table] = {}

    def define(self, name: str, index: tuple[str, ...], tree: st.Tree) -> Floats:
        """Evaluate ``name[index] = tree`` and add the name to the tables. Returns its entries."""
        entries = self.value(tree, index)
        self.tables[name] = Table(index, entries)
        return entries

    @silent
    def value(self, tree: st.Tree, index: tuple[str, ...]) -> Floats:
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
                return Table(t.index, -t.entries)
            case st.Add(args):
                return self.chained(args, np.add)
            case st.Mul(args):
                return self.chained(args, np.multiply)
            case st.Div(a, b):
                return self.joined([self.table(a), self.table(b)], np.divide)
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
            index, (c, a, b) = self.columns(args)
            return Table(index, np.where(c != 0, a, b))
        if head in ("maximum", "minimum"):
            return self.joined(args, lambda a, b: extreme(head[:3], a, b))
        if head == "power":
            return self.joined(args, lambda a, k: each(power, a, k))
        (t,) = args
        return Table(t.index, self.rounded(each(RECORDS[head].double, t.entries)))

    def constant(self, value: float) -> Table:
        return Table((), np.repeat(self.rounded(np.array([value])), self.grid.points))

    def columns(self, parts: Sequence[Table]) -> tuple[tuple[str, ...], list[Floats]]:
        """All indices of several tensors, and the entries of each tensor at every position of these indices."""
        index = tuple(dict.fromkeys(i for t in parts for i in t.index))
        return index, [self.grid.spread(t, index) for t in parts]

    def joined(self, parts: Sequence[Table], function: Callable[..., Floats]) -> Table:
        """A function of several tensors, applied at every position; its result is rounded once."""
        index, columns = self.columns(parts)
        return Table(index, self.rounded(function(*columns)))

    def compared(self, rel: str, one: Table, other: Table) -> Table:
        """1 where a comparison holds, and 0 where it does not."""
        index, columns = self.columns([one, other])
        return Table(index, HOLDS[rel](*columns).astype(np.float64))

    def chained(self, args: tuple[st.Tree, ...], function: Callable[[Floats, Floats], Floats]) -> Table:
        """A binary operation applied from left to right, with each result rounded."""
        return reduce(lambda out, a: self.joined([out, a], function), map(self.table, args))

    def reduced(self, kind: str, index: tuple[str, ...], body: Table) -> Table:
        """A reduction, in the order of positions, with each partial result rounded."""
        rest = tuple(i for i in body.index if i not in index)
        count, results = self.grid.count(index), self.grid.points * self.grid.count(rest)
        entries = self.grid.spread(body, (*rest, *index)).reshape(results, count)
        if kind in PLACES:
            found = np.argmax(entries if PLACES[kind] == "max" else -entries, axis=1) if count else np.zeros(results)
            return Table(rest, found.astype(np.float64))
        columns = list(entries.T) or [np.full(results, OF_NOTHING[kind])]
        if kind in ("max", "min"):
            out = reduce(lambda a, b: extreme(kind, a, b), columns)
        else:
            out = reduce(lambda a, b: self.rounded(a * b if kind == "prod" else a + b), columns)
        return Table(rest, self.rounded(out / count) if kind == "mean" else out)

    # ---- reads -----------------------------------------------------------------------------------------------------

    def read(self, name: str, index: tuple[st.Index, ...]) -> Table:
        own = self.tables[name]
        if all(isinstance(i, str) for i in index) and len(set(index)) == len(index):
            return Table(tuple(map(str, index)), own.entries)
        free = tuple(dict.fromkeys(n for i in index for n in st.index_names(i)))
        slots = [self.grid.spread(self.position(i), free).astype(np.intp) for i in index]
        places = self.grid.flat(slots, own.index, self.grid.points * self.grid.count(free))
        start = np.repeat(np.arange(self.grid.points) * self.grid.count(own.index), self.grid.count(free))
        return Table(free, own.entries[start + places])

    def position(self, index: st.Index) -> Table:
        """The value of an index: its position, or for a lookup the label that is read."""
        if isinstance(index, st.Lookup):
            return self.read(index.name, index.index)
        return Table((index,), np.tile(np.arange(self.grid.length(index), dtype=np.float64), self.grid.points))
