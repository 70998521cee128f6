"""Matrix form beside index form: right in numbers, as a person writes it, and left out where a person would not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from functools import cache
from random import Random

import numpy as np
import pytest

import derive
from derive import syntax as st
from derive.certify import NoPoint, stage_of
from derive.certify.textbook import checked_sections, matrix_checks
from derive.functions.records import RECORDS
from derive.language.assumptions import HOLDS
from derive.matrices import forms, matrix_latex, matrix_of, matrix_text
from derive.ops import load, names
from derive.show.show import Part, Row, Section
from derive.textbook.pages import InMatrices, textbook_sections
from derive.textbook.paper import Paper, textbook
from tests.long import each
from tests.systems.generate import generate

Array = np.ndarray


@cache
def told(name: str) -> Paper:
    return textbook(load(name))


def matrix(name: str, text: str) -> str:
    """The matrix form of a gradient of a formula; "" if it has none."""
    op = derive.parse_formula(text)
    rows = [r for s in textbook_sections(textbook(op)) for g in s.groups for r in g if r.name == name and r.beside]
    return rows[-1].beside.text if rows and rows[-1].beside else ""


# ---- as a person writes it ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("formula", "name", "expected"),
    [
        ("y[n, h] = sum[k](x[n, k]*W[k, h])", "dW", "dW = xᵀ dy"),
        ("y[n, h] = sum[k](x[n, k]*W[k, h])", "dx", "dx = dy Wᵀ"),
        ("y[n, h] = sum[k](x[n, k]*W[h, k])", "dW", "dW = dyᵀ x"),
        ("y[n, h] = sum[k](x[n, k]*W[k, h]) + b[h]", "y", "y = x W + 1 bᵀ"),
        ("y[n, h] = sum[k](x[n, k]*W[k, h]) + b[h]", "db", "db = dyᵀ 1"),
        ("y[n, d] = x[n, d]*g[d]", "dg", "dg = (dy ⊙ x)ᵀ 1"),
        ("y[i] = sum[j](A[i, j]*v[j])", "y", "y = A v"),
        ("y[i] = sum[j](A[i, j]*v[j])", "dv", "dv = Aᵀ dy"),
        ("y[i] = sum[j](A[i, j]*v[j])", "dA", "dA = dy vᵀ"),
        ("y[i] = sum[j, k](A[i, j]*B[j, k]*v[k])", "dv", "dv = Bᵀ Aᵀ dy"),
        ("y[n, h] = sum[k](x[n, k]*g[k]*W[k, h])", "dW", "dW = diag(g) xᵀ dy"),
        ("y = sum[i](u[i]*v[i])/size(i)", "y", "y = uᵀ v/size(i)"),
        ("y = sum[i](r[i]**2)/2", "y", "y = rᵀ r/2"),
        ("y = sum[i, j](x[i]*A[i, j]*x[j])", "y", "y = xᵀ A x"),
        ("y = sum[i, j](x[i]*A[i, j]*x[j])", "dx", "dx = dy·(Aᵀ x + A x)"),
        ("y[n, o] = sum[k, r](x[n, k]*A[k, r]*B[r, o])", "y", "y = x A B"),
        ("y[n] = sum[i, j](a[n, i]*W[i, j]*b[n, j])", "y", "y = (b ⊙ (a W)) 1"),
        ("y[n] = sum[k](x[n, k])/size(k)", "y", "y = (x 1)/size(k)"),
        ("p[n, c] = exp(z[n, c])/sum[c](exp(z[n, c]))", "dz", "dz = p ⊙ (dp - (dp ⊙ p) 1 1ᵀ)"),
        ("p[b, n, c] = exp(z[b, n, c])/sum[c](exp(z[b, n, c]))", "dz", "dz = p ⊙ (dp - (dp ⊙ p) 1 1ᵀ)"),
        ("y[n, c] = x[n, c] - mean[n](x[n, c])", "dx", "dx = dy - 1 1ᵀ dy/size(n)"),
        ("y[n, h] = tanh(2*sum[k](x[n, k]*W[k, h]))", "y", "y = tanh(2·x W)"),
        ("y[b, i, d] = sum[j](P[b, i, j]*v[b, j, d])", "dv", "dv = Pᵀ dy"),
        ("y[n, h] = (1 - eps)*sum[k](x[n, k]*W[k, h])", "dx", "dx = (1 - eps)·dy Wᵀ"),
        ("y[n, u] = sum[b, e](x[n, b, e]*W[b, e, u])", "dW", "dW = xᵀ dy, x as [n,(b,e)], dW as [(b,e),u]"),
    ],
)
def test_a_line_in_matrices(formula: str, name: str, expected: str) -> None:
    assert matrix(name, formula) == expected


@pytest.mark.parametrize(
    ("formula", "name"),
    [
        ("y[n, d] = x[n, d]*g[d]", "dx"),  # elementwise: nothing is gained
        ("y[n, d] = tanh(x[n, d])", "dx"),
        ("y = sum[i](log(1 + exp(x[i])))", "y"),  # a number and a column of ones, of which both are written as 1
        ("y[a, b, c] = x[a, b]*w[b, c]", "dx"),  # three axes
        ("y[i] = x[i]*x[i]", "dx"),
        ("y[i] = max[j](x[i, j])", "dx"),
    ],
)
def test_what_nobody_writes_in_matrices_has_no_form(formula: str, name: str) -> None:
    assert matrix(name, formula) == ""


def test_labels_are_a_matrix() -> None:
    rows = {r.name: r for s in textbook_sections(told("makemore")) for g in s.groups for r in g if r.beside}
    assert rows["dlogits"].beside.text == "dlogits = dloss/size(n)·(probs - onehot(t))"  # type: ignore[union-attr]
    assert rows["dC"].beside.text == "dC = onehot(x)ᵀ demb, demb as [(n,b),e]"  # type: ignore[union-attr]
    assert rows["dW1"].beside.text == "dW1 = embcatᵀ dhprebn"  # type: ignore[union-attr]  # as the caller has both
    assert rows["demb"].beside.text == "demb = dhprebn W1ᵀ, demb as [n,(b,e)]"  # type: ignore[union-attr]


def test_it_is_typeset() -> None:
    tree = st.Reduce("sum", ("n",), st.Mul((st.Read("dy", ("n", "h")), st.Read("x", ("n", "k")))))
    form = matrix_of(("k", "h"), tree)
    assert form is not None
    assert matrix_text("dW", form) == "dW = xᵀ dy"
    assert matrix_latex("dW", form, adjoints=frozenset({"dW", "dy"})) == r"\mathrm{d}W = x^{\top} \, \mathrm{d}y"


# ---- right in numbers -----------------------------------------------------------------------------------------------------


class Values:
    """The arrays of an op's names at a point, and matrix forms evaluated with them."""

    def __init__(self, arrays: dict[str, Array], labels: dict[str, Array], lengths: dict[str, int], tables: dict[str, float]):
        self.arrays, self.labels, self.lengths, self.numbers = arrays, labels, lengths, tables

    def number(self, tree: st.Tree | None) -> float:
        match tree:
            case None:
                return 1.0
            case st.Num(value):
                return float(value)
            case st.Const("pi"):
                return float(np.pi)
            case st.Size(axis):
                return float(self.lengths[axis])
            case st.Read(name, ()):
                return self.numbers[name]
            case st.Neg(a):
                return -self.number(a)
            case st.Add(args):
                return sum(map(self.number, args))
            case st.Mul(args):
                return float(np.prod([self.number(a) for a in args]))
            case st.Div(a, b):
                return self.number(a) / self.number(b)
            case st.Pow(a, e):
                return float(self.number(a) ** self.number(e))
            case st.Call(head, (a,)):
                return RECORDS[head].double(self.number(a))
            case st.Call("maximum" | "minimum" as head, args):
                return (max if head == "maximum" else min)(map(self.number, args))
            case st.Call("where", (st.Compare(rel, left, right), yes, no)):
                return self.number(yes if HOLDS[rel](self.number(left), self.number(right)) else no)
        raise KeyError(str(tree))

    def of(self, form: forms.Matrix) -> Array:
        match form:
            case forms.Name(read, rows, columns):
                return self.arrays[read.name].reshape(self.count(rows), self.count(columns))
            case forms.OneHot(name, _, rows, columns):
                return self.labels[name].reshape(self.count(rows), self.count(columns))
            case forms.Ones(rows):
                return np.ones((self.count(rows), 1))
            case forms.Transpose(a):
                return self.of(a).T
            case forms.Diag(a):
                return np.diag(self.of(a)[:, 0])
            case forms.Apply(head, a):
                return np.vectorize(RECORDS[head].double)(self.of(a))
            case forms.Elementwise(factors):
                assert len({self.of(f).shape for f in factors}) == 1
                return np.prod([self.of(f) for f in factors], axis=0)
            case forms.Product((first, *rest)):
                out = self.of(first)
                for f in rest:
                    out = out @ self.of(f)
                return out
            case forms.Total(terms):
                return np.sum(np.broadcast_arrays(*[-self.of(t) if negative else self.of(t) for negative, t in terms]), axis=0)
            case forms.Scaled(above, of, below, negative):
                scale = (-1.0 if negative else 1.0) * self.number(above) / self.number(below)
                return scale * (np.ones((1, 1)) if of is None else self.of(of))
        raise KeyError(str(form))

    def count(self, axes: tuple[str, ...]) -> int:
        return int(np.prod([self.lengths[st.axis_of(a)] for a in axes]))


def agrees(row: Row, values: dict[str, tuple[tuple[str, ...], Array]], op: st.Op, lengths: dict[str, int]) -> bool:
    """Whether the matrix form of a line has the line's values, at the second place of its stack."""
    form = matrix_of(row.index, row.tree)
    assert form is not None
    arrays = {n: taken_at(v, form.stack)[1] for n, v in values.items()}
    labels = {t.name: hot(values[t.name][1], lengths[t.labels]) for t in op.inputs if t.labels and t.name in values}
    numbers = {n: float(a) for n, (axes, a) in values.items() if not axes}
    found = np.asarray(Values(arrays, labels, lengths, numbers).of(form.right))
    wanted = arrays[row.name].reshape(int(np.prod([lengths[i] for i in form.rows])), -1)
    return bool(np.allclose(np.broadcast_to(found, wanted.shape), wanted, rtol=1e-9, atol=1e-12))


def taken_at(value: tuple[tuple[str, ...], Array], stack: tuple[str, ...]) -> tuple[tuple[str, ...], Array]:
    """A tensor at the second place of its stack."""
    axes, array = value
    for i in stack:
        if i in axes:
            array = np.take(array, 1, axis=axes.index(i))
            axes = tuple(a for a in axes if a != i)
    return axes, array


def hot(labels: Array, length: int) -> Array:
    return np.eye(length)[labels.ravel().astype(int)]


def check(paper: Paper) -> int:
    """Compare every matrix form of a textbook track with the line's values; the number of forms."""
    op = paper.derivation.op
    stage = stage_of(op, 0)
    known = stage.values([*paper.derivation.forward, *paper.derivation.chain])
    axes = dict(known.axes)
    lengths = dict(stage.frame.sizes) | {a: stage.frame.length(a) for index in axes.values() for a in index}
    values = {}
    for name, index in axes.items():
        table = stage.given[name] if name in stage.given else known.table(name)
        values[name] = (index, np.array([float(v) for v in table]).reshape([lengths[i] for i in index]))
    count = 0
    for row in (r for s in textbook_sections(paper) for g in s.groups for r in g if r.beside):
        assert agrees(row, values, op, lengths), (row.beside, op.text)
        count += 1
    return count


@pytest.mark.parametrize("name", each(names()))
def test_every_form_has_the_values_of_its_line(name: str) -> None:
    forms_found = check(told(name))
    assert (forms_found > 0) == (name not in ("tanh", "relu", "sigmoid", "silu", "gelu", "batchnorm"))


@pytest.mark.parametrize("start", range(0, 20, 10))
def test_random_systems_have_right_forms(start: int) -> None:
    for seed in range(start, start + 10):
        op = derive.parse(generate(Random(f"matrices:{seed}")))
        if op.carries:  # the forms of its lines are those of its step op, which has no text
            continue
        try:
            check(textbook(op))
        except NoPoint:
            continue


# ---- certified ------------------------------------------------------------------------------------------------------------


def mutants(form: forms.Matrix) -> Iterator[forms.Matrix]:
    """Forms with one slip: a transpose too few, factors in another order, a wrong sign, ``⊙`` for a product and the reverse."""
    match form:
        case forms.Transpose(a):
            yield a
        case forms.Product(parts):
            yield from (forms.Product(parts[::-1]), forms.Elementwise(parts))
            yield from (forms.Product((*parts[:k], m, *parts[k + 1 :])) for k, p in enumerate(parts) for m in mutants(p))
        case forms.Elementwise(parts):
            yield forms.Product(parts)
            yield from (forms.Elementwise((*parts[:k], m, *parts[k + 1 :])) for k, p in enumerate(parts) for m in mutants(p))
        case forms.Diag(a):
            yield a
        case forms.Total(terms):
            yield forms.Total(tuple((not sign if k == 0 else sign, t) for k, (sign, t) in enumerate(terms)))
            yield from (
                forms.Total((*terms[:k], (sign, m), *terms[k + 1 :])) for k, (sign, t) in enumerate(terms) for m in mutants(t)
            )
        case forms.Scaled(above, of, below, negative):
            yield forms.Scaled(above, of, below, not negative)
            yield from (forms.Scaled(above, m, below, negative) for m in (mutants(of) if of else ()))


@pytest.mark.parametrize("op", ["linear", "attention", "softmax_cross_entropy", "embedding", "layernorm"])
def test_the_certificate_names_a_wrong_form(op: str) -> None:
    paper = told(op)
    stage = stage_of(paper.derivation.op, 0)
    values = stage.values([*paper.derivation.forward, *paper.derivation.chain])
    count = 0
    for row in (r for s in textbook_sections(paper) for g in s.groups for r in g if r.beside):
        right = row.beside
        assert isinstance(right, InMatrices)
        alone = [Section(Part.DERIVATION, [[row]])]
        assert all(c.passed for c in matrix_checks(alone, stage, values, 0))
        for wrong in mutants(right.form.right):
            row.beside = replace(right, form=replace(right.form, right=wrong))
            [check] = matrix_checks(alone, stage, values, 0)
            assert (check.rule, check.name, check.passed) == ("matrix", row.name, False), wrong
            count += 1
        row.beside = right
    assert count > 1


def test_a_number_out_of_place_is_found_where_rounding_would_hide_it() -> None:
    """Modulo a prime no difference is small."""
    paper = textbook(derive.parse_formula("y[n, h] = sum[k](x[n, k]*W[k, h]) + b[h]"))
    sections = textbook_sections(paper)
    row = next(r for s in sections for g in s.groups for r in g if r.name == "y")
    beside = row.beside
    assert isinstance(beside, InMatrices)
    off = forms.Scaled(st.Num(1 + Fraction(1, 10**90)), beside.form.right)
    row.beside = replace(beside, form=replace(beside.form, right=off))
    [check] = [c for c in checked_sections(paper, sections) if not c.passed]
    assert (check.rule, check.name) == ("matrix", "y") and "modulo a prime" in check.reason
