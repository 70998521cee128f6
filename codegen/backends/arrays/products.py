"""Contractions as matrix products where their axes allow it, else as an einsum."""

from __future__ import annotations

from collections.abc import Sequence

from codegen.axes import merge, natural_order
from codegen.backends.arrays.axes import Text, Value, star_first
from codegen.backends.arrays.reads import Reads
from codegen.backends.arrays.spelling import matmul
from codegen.recognise.contraction import Contraction
from derive import syntax as st


class Products(Reads):
    """Spells contractions: sums over products in which no factor has every axis of the loop."""

    def contraction(self, c: Contraction, tree: st.Reduce, order: Sequence[str]) -> Value:
        left, right = (self.value(t, natural_order(t)) for t in (c.left, c.right))
        both = merge([tuple(order), left.axes, right.axes])
        out = star_first((i for i in both if i in {*left.axes, *right.axes} - set(tree.index)), self.star)
        product = self.matrix_product(left, right, tree.index, out) or self.matrix_product(right, left, tree.index, out)
        if product is not None:
            return product
        letters = self.letters((*left.axes, *right.axes))
        spec = ",".join("".join(letters[i] for i in v.axes) for v in (left, right)) + "->" + "".join(letters[i] for i in out)
        return Value(self.einsum(spec, left.text, right.text), out)

    def matrix_product(self, a: Value, b: Value, summed: tuple[str, ...], out: tuple[str, ...]) -> Value | None:
        """``a @ b``, transposed as needed, or a tensordot; None where the axes of ``a`` and ``b`` do not fit in this order."""
        batch = tuple(i for i in a.axes if i in b.axes and i not in summed)
        rows = tuple(i for i in a.axes if i not in (*batch, *summed))
        columns = tuple(i for i in b.axes if i not in (*batch, *summed))
        if not set(summed) <= set(a.axes) & set(b.axes) or out != (*batch, *rows, *columns):
            return None
        if batch and (a.axes[: len(batch)] != batch or b.axes[: len(batch)] != batch):
            return None
        if len(summed) == 1 and len(rows) == 1 and len(columns) == 1:
            left = self.matrix(a, (*batch, *rows, *summed))
            right = self.matrix(b, (*batch, *summed, *columns))
            return Value(matmul(left, right), out)
        if batch or not rows + columns:
            return None
        if len(summed) == 1 and self.star not in (*rows, *columns) and len(rows) + len(columns) == 1:
            left = self.matrix(a, (*rows, *summed)) if rows else a.text
            right = self.matrix(b, (*summed, *columns)) if columns else b.text
            return Value(matmul(left, right), out)
        if self.star in (*rows, *columns):
            if len(summed) == 1 and a.axes[-1] == summed[0] and b.axes == (*summed, *columns) and len(columns) <= 1:
                return Value(matmul(a.text, b.text), out)
            return None
        return self.tensor_product(a, b, summed)

    def tensor_product(self, a: Value, b: Value, summed: tuple[str, ...]) -> Value:
        """The product of two operands of any rank, summed over axes that both have.

        The result has the other axes of ``a``, then the other axes of ``b``.
        """
        where = ([a.axes.index(i) for i in summed], [b.axes.index(i) for i in summed])
        rest = tuple(i for v in (a, b) for i in v.axes if i not in summed)
        return Value(self.tensordot(a.text, b.text, where), rest)

    def matrix(self, v: Value, want: tuple[str, ...]) -> Text:
        """An operand of a matrix product, transposed to the axes ``want``."""
        if v.axes == want:
            return v.text
        if (*v.axes[:-2], v.axes[-1], v.axes[-2]) == want:
            return self.swapped(v.text, len(want) == 2 and self.star not in want)
        return self.ordered(v, want).text
