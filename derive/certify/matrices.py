"""Matrix forms, evaluated by the algebra of matrices and compared with the index form that they stand beside.

Tensors are laid out in rows and columns, and from there on only matrices are multiplied, transposed and added. Products of
matrices that do not fit are refused. So a factor on the wrong side, or a transpose too few, has another value or none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from functools import reduce
from typing import Any, NamedTuple

from derive import syntax as st
from derive.certify.arrays import Frame
from derive.certify.residues import Residues, random_prime
from derive.certify.stage import Stage
from derive.certify.trees import Trees
from derive.labels import label_values, whole_constants
from derive.matrices import MatrixForm, forms
from derive.points import Point, random_of, sizes_of

__all__ = ["matrix_values", "residues"]


class Grid(NamedTuple):
    """A matrix of numbers, row by row."""

    height: int
    width: int
    values: list[Any]


def matrix_values(form: MatrixForm, index: tuple[str, ...], trees: Trees) -> list[Any]:
    """The values of a form over ``index`` (ValueError where the shapes of matrices do not fit)."""
    order = (*form.stack, *form.rows, *form.columns)
    found = [v for k in range(trees.frame.count(form.stack)) for v in _Algebra(trees, form, k).whole().values]
    at = trees.frame.positions(order, index)
    return [found[k] for k in at]


class _Algebra:
    """Evaluates a form at one position of its stack."""

    def __init__(self, trees: Trees, form: MatrixForm, position: int):
        self.trees, self.frame, self.numbers = trees, trees.frame, trees.numbers
        self.form, self.position = form, position

    def whole(self) -> Grid:
        found = self.value(self.form.right)
        wanted = self.frame.count(self.form.rows), self.frame.count(self.form.columns)
        if (found.height, found.width) == (1, 1) and isinstance(self.form.right, forms.Scaled) and self.form.right.of is None:
            return Grid(*wanted, found.values * (wanted[0] * wanted[1]))
        return self.shaped(found, *wanted)

    def shaped(self, grid: Grid, height: int, width: int) -> Grid:
        if (grid.height, grid.width) != (height, width):
            raise ValueError(f"a matrix is {grid.height} by {grid.width}, and should be {height} by {width}")
        return grid

    def value(self, form: forms.Matrix) -> Grid:
        match form:
            case forms.Name(tree, rows, columns) | forms.OneHot(_, tree, rows, columns):
                return self.leaf(tree, rows, columns)
            case forms.Ones(rows):
                count = self.frame.count(rows)
                return Grid(count, 1, [self.numbers.one] * count)
            case forms.Transpose(of):
                return self.transposed(self.value(of))
            case forms.Diag(of):
                return self.diagonal(self.value(of))
            case forms.Apply(head, of):
                grid = self.value(of)
                return grid._replace(values=self.numbers.call(head, grid.values))
            case forms.Product(factors):
                return reduce(self.product, map(self.value, factors))
            case forms.Elementwise(factors):
                return reduce(self.elementwise, map(self.value, factors))
            case forms.Total(terms):
                return self.total(terms)
            case forms.Scaled():
                return self.scaled(form)
        raise TypeError(f"no value for {form}")

    def leaf(self, tree: st.Tree, rows: forms.Axes, columns: forms.Axes) -> Grid:
        height, width = self.frame.count(rows), self.frame.count(columns)
        values = self.trees.table(tree, (*self.form.stack, *rows, *columns))
        start = self.position * height * width
        return Grid(height, width, values[start : start + height * width])

    def transposed(self, of: Grid) -> Grid:
        return Grid(of.width, of.height, [v for k in range(of.width) for v in of.values[k :: of.width]])

    def diagonal(self, of: Grid) -> Grid:
        n = self.shaped(of, of.height, 1).height
        return Grid(n, n, [of.values[i] if i == j else self.numbers.zero for i in range(n) for j in range(n)])

    def product(self, a: Grid, b: Grid) -> Grid:
        if a.width != b.height:
            raise ValueError(f"a matrix of {a.width} columns stands before one of {b.height} rows")
        across = self.transposed(b)
        lines = [a.values[k * a.width : (k + 1) * a.width] for k in range(a.height)]
        others = [across.values[k * a.width : (k + 1) * a.width] for k in range(b.width)]
        times, total = self.numbers.times, self.numbers.total
        return Grid(a.height, b.width, [total(times(one, other)) for one in lines for other in others])

    def elementwise(self, a: Grid, b: Grid) -> Grid:
        return a._replace(values=self.numbers.times(a.values, self.shaped(b, a.height, a.width).values))

    def total(self, terms: Iterable[tuple[bool, forms.Matrix]]) -> Grid:
        """A sum. A number among its terms is added to every element."""
        parts = [(negative, isinstance(t, forms.Scaled) and t.of is None, self.value(t)) for negative, t in terms]
        height, width, _ = next((grid for _, number, grid in parts if not number), parts[0][2])
        out = [self.numbers.zero] * (height * width)
        for negative, number, grid in parts:
            values = grid.values * len(out) if number else self.shaped(grid, height, width).values
            out = self.numbers.plus(out, self.numbers.negated(values) if negative else values)
        return Grid(height, width, out)

    def scaled(self, form: forms.Scaled) -> Grid:
        grid = Grid(1, 1, [self.numbers.one]) if form.of is None else self.value(form.of)
        values = grid.values
        if form.above is not None:
            values = self.numbers.scaled(values, self.number(form.above))
        if form.below is not None:
            values = self.numbers.over(values, [self.number(form.below)] * len(values))
        return grid._replace(values=self.numbers.negated(values) if form.negative else values)

    def number(self, tree: st.Tree) -> Any:
        return self.trees.table(tree, ())[0]


def residues(op: st.Op, axes: Mapping[str, tuple[str, ...]], seed: int) -> Stage:
    """A stage modulo a prime at which every name has random values, as a matrix form holds for any values of its names."""
    sizes, numbers = sizes_of(op, seed), Residues(random_prime(op.name, seed))
    rng, frame = random_of("matrices", op.name, seed), Frame(sizes)
    labels = {t.name: len(label_values(op, t, sizes, dict.fromkeys(whole_constants(op), 1))) for t in op.inputs if t.integer}
    tables: dict[str, Sequence[Fraction | int]] = {
        name: [rng.randrange(labels.get(name, numbers.p)) for _ in range(frame.count(index))] for name, index in axes.items()
    }
    return Stage(op, Point(sizes, tables), numbers)
