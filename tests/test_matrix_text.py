"""A matrix form is right as it is printed: its text, read by the rules of matrices, has the value of the line.

The certificate evaluates the form itself. A missing bracket would be an error of its text alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import reduce

import numpy as np
import pytest

from derive import parse, parse_formula
from derive import syntax as st
from derive.certify import Stage, stage_of
from derive.certify.flat import Values
from derive.functions.records import RECORDS
from derive.ops import load
from derive.show.show import Row
from derive.textbook.pages import InMatrices, textbook_sections
from derive.textbook.paper import textbook

Array = np.ndarray
ONES = np.full((0, 0), 1.0)  # a column of ones takes its length from what stands beside it


class Reader:
    """Reads a right side: juxtaposed matrices are multiplied first, then ``⊙``, ``·`` and ``/``, then sums."""

    def __init__(self, text: str, known: dict[str, Array], sizes: Callable[[str], int], hot: dict[str, Array]):
        self.tokens = re.findall(r"\d+|\w+|\S", text.replace("ᵀ", " ᵀ "))
        self.known, self.sizes, self.hot = known, sizes, hot

    def next(self) -> str:
        return self.tokens[0] if self.tokens else ""

    def take(self, *wanted: str) -> bool:
        found = self.next() in wanted
        if found:
            self.last = self.tokens.pop(0)
        return found

    def total(self) -> Array:
        out = -self.elements() if self.take("-") else self.elements()
        while self.take("+", "-"):
            sign = 1.0 if self.last == "+" else -1.0
            out = out + sign * self.elements()
        return out

    def elements(self) -> Array:
        out = self.product()
        while self.take("⊙", "·", "/"):
            out = out / self.product() if self.last == "/" else out * self.product()
        return out

    def product(self) -> Array:
        factors = [self.one()]
        while self.next() and (self.next() == "(" or re.match(r"\w", self.next())):
            factors.append(self.one())
        if len(factors) == 1 and factors[0][0] is ONES:
            return np.ones((1, 1))  # the number
        return reduce(multiplied, factors)[0]

    def one(self) -> tuple[Array, bool]:
        """A factor, and whether it is transposed, which ones themselves do not show."""
        found, row = self.atom(), False
        while self.take("ᵀ"):
            row = not row
            found = found if found is ONES else found.T
        return found, row

    def atom(self) -> Array:
        if self.take("("):
            found = self.total()
            assert self.take(")")
            return found
        name = self.tokens.pop(0)
        if self.next() == "(" and name in ("size", "onehot", "diag", "sqrt", *RECORDS):
            return self.called(name)
        if name.isdigit():
            return ONES if name == "1" else np.full((1, 1), float(name))
        return self.known[name]

    def called(self, name: str) -> Array:
        self.take("(")
        if name in ("size", "onehot"):
            of = self.tokens.pop(0)
            self.take(")")
            return self.hot[of] if name == "onehot" else np.full((1, 1), float(self.sizes(of)))
        of_it = self.total()
        assert self.take(")")
        return (
            np.diag(of_it[:, 0])
            if name == "diag"
            else np.sqrt(of_it)
            if name == "sqrt"
            else np.vectorize(RECORDS[name].double)(of_it)
        )


def multiplied(a: tuple[Array, bool], b: tuple[Array, bool]) -> tuple[Array, bool]:
    """The product of two; with a column of ones a sum, and before a row the row alone, which stands in every row of a sum."""
    if a[0] is ONES and b[0] is ONES:
        return ONES, b[1]  # a sum of columns that stands in every row
    if b[0] is ONES:
        return (a[0] if b[1] else a[0].sum(1, keepdims=True)), False
    if a[0] is ONES:
        return (b[0].sum(0, keepdims=True) if a[1] else b[0]), False
    return a[0] @ b[0], False


def read_back(row: Row, stage: Stage, values: Values) -> bool:
    """Whether the text beside a row has the row's value, where every tensor is a matrix or a column as it stands."""
    assert isinstance(row.beside, InMatrices)
    lengths, known = stage.frame.length, {}
    for name in {*st.reads(row.tree), row.name}:
        axes, table = values.axes[name], stage.given[name] if name in stage.given else values.table(name)
        shape = [lengths(a) for a in axes] + [1] * (2 - len(axes))
        known[name] = np.array([float(v) for v in table]).reshape(shape)
    hot = {t.name: np.eye(lengths(t.labels))[stage.labels[t.name]] for t in stage.op.inputs if t.labels is not None}
    right = row.beside.text.split(" = ", 1)[1]
    found = Reader(right, known, lengths, hot).total()
    return bool(np.allclose(np.broadcast_to(found, known[row.name].shape), known[row.name], rtol=1e-9, atol=1e-12))


OPS = {
    "smoothed": "loss = f(z[n, c], t[n], eps=0.1)\nt[n] in c\nlogp[n, c] = z[n, c] - log(sum[c](exp(z[n, c])))\n"
    "loss = -mean[n]((1 - eps)*logp[n, t[n]] + eps*mean[c](logp[n, c]))",
    "low rank": "y[n, o] = f(x[n, k], W[k, o], A[k, r], B[r, o], a=2.0)\n"
    "y[n, o] = sum[k](x[n, k]*W[k, o]) + (a - 1)*sum[k, r](x[n, k]*A[k, r]*B[r, o])",
    "bilinear": "y[n] = f(a[n, i], W[i, j], b[n, j])\ny[n] = sum[i, j](a[n, i]*W[i, j]*b[n, j])",
    "quadratic": "y = f(x[i], A[i, j])\ny = sum[i, j](x[i]*A[i, j]*x[j])",
    "recurrent": "y[n, u] = f(x[n, k], h[n, v], W[k, u], U[v, u], b[u])\n"
    "y[n, u] = tanh(sum[k](x[n, k]*W[k, u]) + sum[v](h[n, v]*U[v, u]) - b[u])",
    "distances": "y[n] = f(x[n, d], z[n, d])\ny[n] = sum[d]((x[n, d] - z[n, d])**2)/size(d)",
    "centred": "y[n, c] = f(x[n, c])\ny[n, c] = x[n, c] - mean[n](x[n, c])",
}


@pytest.mark.parametrize("name", [*OPS, "linear", "softmax", "log_softmax", "softmax_cross_entropy", "layernorm", "embedding"])
def test_the_text_of_a_form_has_the_value_of_its_line(name: str) -> None:
    paper = textbook(parse(OPS[name]) if name in OPS else load(name))
    stage = stage_of(paper.derivation.op, 0)
    values = stage.values([*paper.derivation.forward, *paper.derivation.chain])
    rows = [r for s in textbook_sections(paper) for g in s.groups for r in g if r.beside]
    assert rows and all(read_back(row, stage, values) for row in rows), [r.beside for r in rows]


def test_a_bracket_too_few_is_seen() -> None:
    paper = textbook(parse_formula("y[n, h] = (1 - eps)*sum[k](x[n, k]*W[k, h])"))
    stage = stage_of(paper.derivation.op, 0)
    values = stage.values([*paper.derivation.forward, *paper.derivation.chain])
    row = next(r for s in textbook_sections(paper) for g in s.groups for r in g if r.name == "dx" and r.beside)
    beside = row.beside
    assert isinstance(beside, InMatrices) and beside.text == "dx = (1 - eps)·dy Wᵀ" and read_back(row, stage, values)
    row.beside = InMatrices("dx = 1 - eps·dy Wᵀ", beside.latex, beside.form)
    assert not read_back(row, stage, values)
