"""Matrix forms, read off trees."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import combinations, permutations

from derive import syntax as st
from derive.language.unicode import text
from derive.matrices.forms import (
    Apply,
    Axes,
    Diag,
    Elementwise,
    Matrix,
    MatrixForm,
    Name,
    OneHot,
    Ones,
    Product,
    Scaled,
    Total,
    Transpose,
    leaves,
)
from derive.matrices.spelling import right_side

__all__ = ["matrix_of"]

#: The most indices of a sum that are put into every order.
ORDERED = 3


def matrix_of(index: Axes, tree: st.Tree) -> MatrixForm | None:
    """The matrix form of the right side of a line over ``index``; None where a person would not write one.

    Nobody does where it is longer than the index form, or where a number is added to a matrix beside columns of ones.
    """
    for stack in _stacks(index, tree):
        own = tuple(i for i in index if i not in stack)
        for k in [1] if len(own) < 2 else range(1, len(own)):
            found = _Reader(stack).form(tree, own[:k], own[k:])
            if found is not None and _has_product(found):
                long = len(right_side(found)) > len(text(tree)) or _two_ones(found)
                return None if long else MatrixForm(own[:k], own[k:], tuple(i for i in index if i in stack), found)
    return None


def _two_ones(form: Matrix) -> bool:
    """Whether a form has a number among the terms of a sum, and also a column of ones."""
    return any(isinstance(leaf, Ones) for leaf in leaves(form)) and _adds_number(form)


def _adds_number(form: Matrix) -> bool:
    match form:
        case Total(terms):
            return any(isinstance(t, Scaled) and t.of is None or _adds_number(t) for _, t in terms)
        case Product(parts) | Elementwise(parts):
            return any(map(_adds_number, parts))
        case Transpose(a) | Diag(a) | Apply(_, a):
            return _adds_number(a)
        case Scaled(_, of):
            return of is not None and _adds_number(of)
    return False


def _stacks(index: Axes, tree: st.Tree) -> Iterator[frozenset[str]]:
    """The axes that may be those of a stack, the best first: such that all tensors have them and two are left, or none."""
    tensors = [n for n in st.walk(tree) if isinstance(n, st.Read) and n.index]
    shared = [i for i in index if tensors and all(i in n.index for n in tensors)]
    for count in range(1, max(len(index) - 1, 1)):
        yield from (frozenset(c) for c in combinations(shared, count) if len(index) - count <= 2)
    yield frozenset()


def _has_product(form: Matrix) -> bool:
    """Whether a form says more than the index form: a product, a transpose, or labels as a matrix."""
    match form:
        case Product(factors):
            return sum(not isinstance(f, Diag) for f in factors) > 1 or any(map(_has_product, factors))
        case OneHot():
            return True
        case Transpose(a) | Diag(a) | Apply(_, a):
            return _has_product(a)
        case Elementwise(args):
            return any(map(_has_product, args))
        case Total(terms):
            return any(_has_product(t) for _, t in terms)
        case Scaled(_, a):
            return a is not None and _has_product(a)
    return False


class _Reader:
    """Reads matrices off trees. ``stack`` are the axes of a stack of matrices."""

    def __init__(self, stack: frozenset[str]):
        self.stack = stack

    def free(self, tree: st.Tree) -> frozenset[str]:
        return frozenset(st.free_indices(tree)) - self.stack

    def form(self, tree: st.Tree, rows: Axes, columns: Axes) -> Matrix | None:
        """The tree as a matrix of these rows and columns; without columns it is a column."""
        if _number(tree):
            return Scaled(tree, None)
        if not rows and isinstance(tree, (st.Add, st.Pow, st.Call)):
            return None  # a number made of sums: only a sum itself is one of a row and a column
        match tree:
            case st.Read():
                layout = self.layout(tree.index, rows, columns)
                return _turned(Name(tree, *layout), layout, rows) if layout else None
            case st.Indicator(st.Match(left, right, True)):
                return self.one_hot(tree, left, right, rows, columns)
            case st.Neg(a):
                return self.scaled(None, self.form(a, rows, columns), negative=True)
            case st.Add(args):
                return self.total(args, rows, columns)
            case st.Mul(args):
                return self.product(args, rows, columns)
            case st.Div(a, b) if _number(b):
                return self.scaled(None, self.form(a, rows, columns), b)
            case st.Pow(a, st.Num(value)) if value == 2:
                found = self.form(a, rows, columns)
                return None if found is None else _elementwise([found, found])
            case st.Call(head, (a,)):
                found = self.form(a, rows, columns)
                return None if found is None else Apply(head, found)
            case st.Reduce(kind, index, body) if kind in ("sum", "mean"):
                found = self.reduced(index, body, rows, columns)
                sizes = [st.Size(st.axis_of(i)) for i in index] if kind == "mean" else []
                below = None if not sizes else sizes[0] if len(sizes) == 1 else st.Mul(tuple(sizes))
                return self.scaled(None, found, below) if below else found
        return None

    def layout(self, index: tuple[st.Index, ...], rows: Axes, columns: Axes) -> tuple[Axes, Axes] | None:
        """The rows and columns of a tensor with this index, as it stands or transposed; None where it is no such matrix."""
        own = tuple(i for i in index if i not in self.stack)
        if own == rows + columns and (rows or columns):
            return (rows, columns) if rows else (columns, ()) if len(columns) == 1 else None
        return (columns, rows) if own == columns + rows and rows and columns else None

    def one_hot(self, tree: st.Indicator, left: st.Index, right: st.Index, rows: Axes, columns: Axes) -> Matrix | None:
        axis, lookup = (left, right) if isinstance(right, st.Lookup) else (right, left)
        if not isinstance(axis, str) or not isinstance(lookup, st.Lookup):
            return None
        layout = self.layout((*lookup.index, axis), rows, columns)
        return _turned(OneHot(lookup.name, tree, *layout), layout, rows) if layout else None

    def scaled(
        self, above: st.Tree | None, of: Matrix | None, below: st.Tree | None = None, negative: bool = False
    ) -> Matrix | None:
        """A number times a matrix, with the numbers of a matrix that is scaled already."""
        if of is None or not isinstance(of, Scaled):
            return None if of is None else Scaled(above, of, below, negative) if above or below or negative else of
        return Scaled(_times(above, of.above), of.of, _times(below, of.below), negative != of.negative)

    def total(self, args: tuple[st.Tree, ...], rows: Axes, columns: Axes) -> Matrix | None:
        """A sum. The row of a bias stands in every row of the sum."""
        terms: list[tuple[bool, Matrix]] = []
        for a in args:
            bare = a.arg if isinstance(a, st.Neg) else a
            found = self.form(bare, rows, columns)
            if found is None and rows and columns:
                found = self.spread(bare, rows, columns)
            if found is None:
                return None
            terms.append((isinstance(a, st.Neg), found))
        return Total(tuple(terms))

    def spread(self, tree: st.Tree, rows: Axes, columns: Axes) -> Matrix | None:
        """A row that stands in every row of a sum, or a column that stands in every column."""
        free = self.free(tree)
        if free not in (set(rows), set(columns)):
            return None
        found = self.form(tree, rows, ()) if free == set(rows) else self.form(tree, (), columns)
        bare = found.of if isinstance(found, Scaled) else found
        if found is None or not isinstance(bare, (Name, Transpose, Product)):
            return None
        return _product([found, Transpose(Ones(columns))] if free == set(rows) else [Ones(rows), found])

    def product(self, args: tuple[st.Tree, ...], rows: Axes, columns: Axes) -> Matrix | None:
        """Numbers times factors of the same shape; a column and a row; or a matrix with its rows or columns scaled."""
        numbers = [a for a in args if _number(a)]
        rest = [a for a in args if not _number(a)]
        above = None if not numbers else numbers[0] if len(numbers) == 1 else st.Mul(tuple(numbers))
        if not rest:
            return Scaled(above, None)
        return self.scaled(above, self.elements(rest, rows, columns))

    def elements(self, factors: list[st.Tree], rows: Axes, columns: Axes) -> Matrix | None:
        whole = [f for f in factors if self.free(f) == {*rows, *columns}]
        left = [f for f in factors if columns and self.free(f) == set(rows)]
        right = [f for f in factors if columns and self.free(f) == set(columns)]
        if len(whole) + len(left) + len(right) != len(factors) or not rows and len(whole) > 1:
            return None
        forms = [self.form(f, rows, columns) for f in whole]
        before, after = (self.side(fs, axes) for fs, axes in ((left, rows), (right, columns)))
        if any(f is None for f in (*forms, *before, *after)):
            return None
        middle = _elementwise([f for f in forms if f is not None])
        u, v = (_elementwise([f for f in fs if f is not None]) for fs in (before, after))
        if any(made is None and of for made, of in ((middle, forms), (u, before), (v, after))):
            return None
        if middle is None:
            return None if u is None or v is None else Product((u, Transpose(v)))
        if any(w is not None and not isinstance(w, Name) and not _sums_rows(w) for w in (u, v)):
            return None
        parts = [Diag(u)] if u is not None else []
        return _product([*parts, middle, *([Diag(v)] if v is not None else [])])

    def side(self, factors: list[st.Tree], axes: Axes) -> list[Matrix | None]:
        return [self.form(f, axes, ()) for f in factors]

    def reduced(self, index: Axes, body: st.Tree, rows: Axes, columns: Axes) -> Matrix | None:
        """A sum over ``index`` as a product of matrices, or of a matrix and a column of ones; of chains the shortest."""
        orders = permutations(index) if len(index) <= ORDERED else [index]
        whole = (self.summed(tuple(order), body, rows, columns) for order in orders)
        if (found := next((f for f in whole if f is not None), None)) is not None:
            return found
        chains = [f for tree in _nested(index, body) if (f := self.form(tree, rows, columns)) is not None]
        return min(chains, key=lambda f: len(right_side(f)), default=None)

    def summed(self, inner: Axes, body: st.Tree, rows: Axes, columns: Axes) -> Matrix | None:
        factors = _factors(body)
        numbers = [f for f in factors if _number(f)]
        factors = [f for f in factors if not _number(f)]
        left = [f for f in factors if self.free(f) & set(rows)]
        right = [f for f in factors if self.free(f) & set(columns)]
        between = [f for f in factors if f not in left and f not in right]
        if any(f in right for f in left) or any(not self.free(f) & set(inner) for f in factors):
            return None
        found = self.joined(left, between, right, inner, rows, columns)
        above = None if not numbers else numbers[0] if len(numbers) == 1 else st.Mul(tuple(numbers))
        return self.scaled(above, found)

    def joined(
        self, left: list[st.Tree], between: list[st.Tree], right: list[st.Tree], inner: Axes, rows: Axes, columns: Axes
    ) -> Matrix | None:
        column = _all([self.form(f, inner, ()) for f in between])
        a = _all([self.form(f, rows, inner) for f in left])
        b = _all([self.form(f, inner, columns) for f in right])
        if column is None or a is None or b is None or (columns and not right) or (rows and not left):
            return None
        one, other, w = _elementwise(a), _elementwise(b), _elementwise(column)
        if any(made is None and of for made, of in ((one, a), (other, b), (w, column))):
            return None
        if one is not None and other is not None:
            return _product([one, *([Diag(w)] if w is not None else []), other])
        if one is not None:
            return _product([one, w or Ones(inner)])
        if other is not None:
            return _product([_transposed(w or Ones(inner)), other])
        if len(column) > 2 or not column:
            return None
        first, second = column if len(column) == 2 else (Ones(inner), column[0])
        return _product([_transposed(first), second])


def _turned(leaf: Name | OneHot, layout: tuple[Axes, Axes], rows: Axes) -> Matrix:
    """The matrix of a tensor with this layout, with ``rows`` as its rows."""
    return leaf if layout[0] == rows else Transpose(leaf)


def _transposed(of: Matrix) -> Matrix:
    return of.of if isinstance(of, Transpose) else Transpose(of)


def _sums_rows(form: Matrix) -> bool:
    """Whether a form is the column of the sums of a matrix' rows."""
    return isinstance(form, Product) and isinstance(form.factors[-1], Ones)


def _factors(body: st.Tree) -> list[st.Tree]:
    """The factors of a product, with a square as two of them."""
    args = body.args if isinstance(body, st.Mul) else (body,)
    square = st.Num(Fraction(2))
    return [f for a in args for f in ((a.base, a.base) if isinstance(a, st.Pow) and a.exp == square else (a,))]


def _nested(index: Axes, body: st.Tree) -> Iterator[st.Tree]:
    """A sum over several indices of a product as sums inside of each other, in all ways: ``sum[k](x*sum[r](A*B))``."""
    factors = _factors(body)
    for count in range(1, len(index) if len(index) <= ORDERED else 1):
        for inner in combinations(index, count):
            within = [f for f in factors if set(st.free_indices(f)) & set(inner)]
            around = [f for f in factors if f not in within]
            outer = tuple(i for i in index if i not in inner)
            if within and around:
                yield st.Reduce("sum", outer, st.Mul((*around, st.Reduce("sum", inner, st.product(within)))))


def _number(tree: st.Tree) -> bool:
    """Whether a tree is a number that is made of no array."""
    return not any(
        isinstance(n, (st.Reduce, st.Indicator, st.AffineRead)) or isinstance(n, st.Read) and n.index for n in st.walk(tree)
    )


def _all(found: list[Matrix | None]) -> list[Matrix] | None:
    """The forms, None if one is missing."""
    forms = [f for f in found if f is not None]
    return forms if len(forms) == len(found) else None


def _elementwise(forms: list[Matrix]) -> Matrix | None:
    """The product of the elements of forms; None of none, and where a factor is a sum of rows, which nobody writes so."""
    if len(forms) <= 1:
        return forms[0] if forms else None
    if any(isinstance(f, Product) and any(isinstance(part, Ones) for part in f.factors) for f in forms):
        return None
    bare = [f.of for f in forms if isinstance(f, Transpose)]
    return Transpose(Elementwise(tuple(bare))) if len(bare) == len(forms) else Elementwise(tuple(forms))


def _product(factors: list[Matrix]) -> Matrix:
    """A product, with the numbers of its factors in front."""
    numbers = [f for f in factors if isinstance(f, Scaled)]
    bare: list[Matrix] = []
    for f in factors:
        inner = f.of if isinstance(f, Scaled) else f
        if inner is not None:
            bare += inner.factors if isinstance(inner, Product) else (inner,)
    whole: Matrix = bare[0] if len(bare) == 1 else Product(tuple(bare))
    for n in numbers:
        scaled = whole if isinstance(whole, Scaled) else Scaled(None, whole)
        whole = Scaled(_times(n.above, scaled.above), scaled.of, _times(n.below, scaled.below), n.negative != scaled.negative)
    return whole


def _times(a: st.Tree | None, b: st.Tree | None) -> st.Tree | None:
    return b if a is None else a if b is None else st.Mul((a, b))
