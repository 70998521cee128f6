"""Products over axes: values and derivatives, with factors that are 0, equal to torch's own in every backend."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

import derive
from codegen.backends.arrays.backend import ArrayBackend
from codegen.backends.discovery import by_name
from derive.certify import certify
from derive.language.unicode import text
from derive.show.latex import latex
from derive.show.trees import tree_of
from tests.backends import each_array_backend, each_backend
from tests.judged import judge, kernel, lines, module, normal

ROWS = """
    y[n] = f(x[n, k])
    y[n] = prod[k](x[n, k])
"""
TWO_AXES = """
    y[n] = f(x[j, n, k], w[j])
    y[n] = prod[j, k](w[j]*x[j, n, k])
"""
WHOLE = """
    y = f(x[*s])
    y = prod[s](x[*s])
"""
INSIDE = """
    y[*s] = f(x[*s, k], w[k])
    y[*s] = tanh(prod[k](1 + w[k]*x[*s, k]))*sum[k](x[*s, k])
"""
CUMULATIVE = """
    y[n, i] = f(x[n, i])
    y[n, i] = prod[j](where(j <= i, x[n, j], 1))
"""
BEFORE = """
    y[i] = f(x[i])
    y[i] = prod[j](where(j < i, x[j], 1)) + sum[j](where(j > i, x[j], 0))
"""
WINDOW = """
    y[n, i] = f(x[n, l], w[k])
    size(i) = size(l) - size(k) + 1
    y[n, i] = prod[k](x[n, i + k]) + prod[k](w[k]*x[n, i + k])
"""
LABELS = """
    y[n] = f(x[n, c], t[n])
    t[n] in c
    y[n] = prod[c](where(c != t[n], x[n, c], 1))
"""
UNUSED = """
    y = f(x[n], w[k])
    y = prod[n, k](x[n]*w[k] - x[n]*w[k] + 2)*sum[n](x[n])*sum[k](w[k])
"""


def before(x: torch.Tensor) -> torch.Tensor:
    past = [x[:i].prod() for i in range(len(x))]
    return torch.stack([p + x[i + 1 :].sum() for i, p in enumerate(past)]) if past else x


def window(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    slices = x.unfold(1, len(w), 1)
    return slices.prod(2) + (slices * w).prod(2)


def without_label(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    return torch.where(torch.arange(x.shape[1]) == t[:, None], 1, x).prod(1)


def unused(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    return 2.0 ** (len(x) * len(w)) * x.sum() * w.sum()


Case = tuple[str, Callable[..., Any], list[tuple[int, ...]]]
CASES: dict[str, Case] = {
    "rows": (ROWS, lambda x: x.prod(1), [(3, 4)]),
    "one factor": (ROWS, lambda x: x.prod(1), [(3, 1)]),
    "no factor": (ROWS, lambda x: x.prod(1), [(3, 0)]),
    "no row": (ROWS, lambda x: x.prod(1), [(0, 3)]),
    "two axes": (TWO_AXES, lambda x, w: (w[:, None, None] * x).prod(2).prod(0), [(2, 3, 2), (2,)]),
    "whole": (WHOLE, lambda x: x.prod(), [(2, 3)]),
    "no axis": (WHOLE, lambda x: x.prod(), [()]),
    "inside": (INSIDE, lambda x, w: torch.tanh((1 + w * x).prod(-1)) * x.sum(-1), [(2, 2, 3), (3,)]),
    "cumulative": (CUMULATIVE, lambda x: x.cumprod(1), [(2, 5)]),
    "cumulative of nothing": (CUMULATIVE, lambda x: x.cumprod(1), [(2, 0)]),
    "before": (BEFORE, before, [(5,)]),
    "before, one": (BEFORE, before, [(1,)]),
    "window": (WINDOW, window, [(2, 6), (3,)]),
    "unused axes": (UNUSED, unused, [(2,), (3,)]),
}


@pytest.mark.parametrize("case", CASES)
@each_backend
def test_products_equal_torch(case: str, backend: str) -> None:
    op, reference, shapes = CASES[case]
    judge(op, backend, reference, normal(*shapes))


def with_zeros(zeros: int) -> torch.Tensor:
    """Three rows of four factors, of which so many are 0, at other places in each row."""
    (x,) = normal((3, 4))
    for row in range(3):
        for k in range(zeros):
            x[row, (row + 2 * k + k // 2) % 4] = 0
    return x


@pytest.mark.parametrize("zeros", range(5))
@pytest.mark.parametrize("op", [ROWS, CUMULATIVE], ids=["product", "cumulative"])
@each_backend
def test_factors_may_be_0(op: str, zeros: int, backend: str) -> None:
    judge(op, backend, (lambda x: x.prod(1)) if op is ROWS else (lambda x: x.cumprod(1)), [with_zeros(zeros)])


@each_backend
def test_a_label_leaves_a_factor_out(backend: str) -> None:
    judge(LABELS, backend, without_label, [with_zeros(1), torch.tensor([0, 3, 1])])


@pytest.mark.parametrize("zeros", range(4))
@pytest.mark.parametrize("op", [ROWS, CUMULATIVE], ids=["product", "cumulative"])
def test_second_derivatives_equal_torch(op: str, zeros: int) -> None:
    x = with_zeros(zeros)
    reference = (lambda x: x.prod(1)) if op is ROWS else (lambda x: x.cumprod(1))

    def whole(function: Callable[..., Any]) -> Callable[..., Any]:
        return lambda x: (function(x) ** 2).sum()

    found = torch.autograd.functional.hessian(whole(module(op, "torch").f), x)
    torch.testing.assert_close(found, torch.autograd.functional.hessian(whole(reference), x))


GOLDEN = {
    ROWS: ["dx[n,k] = dy[n]·prod[k'](where(k' < k, x[n,k'], 1))·prod[k'](where(k < k', x[n,k'], 1))"],
    CUMULATIVE: [
        "dx[n,i] = prod[j'](where(j' < i, x[n,j'], 1))·sum[i'](where(i ≤ i', "
        "dy[n,i']·prod[j'](where(j' ≤ i', where(i < j', x[n,j'], 1), 1)), 0))"
    ],
}


@pytest.mark.parametrize("op", GOLDEN, ids=["product", "cumulative"])
def test_a_factor_is_sent_the_product_of_the_others(op: str) -> None:
    derivation = derive.derive(derive.parse(lines(op)))
    trees = tree_of(derivation.op, derivation.forward, written_out=True)
    found = [f"{d.name}[{','.join(d.index)}] = {text(trees(d.body, d.index))}" for d in derivation.lines]
    assert found == GOLDEN[op]


def test_a_product_is_typeset_as_one() -> None:
    (equation,) = derive.parse(lines(ROWS)).equations
    assert latex(equation.rhs) == r"\prod_{k} x_{n,k}"


def test_derivations_are_certified() -> None:
    for op in (ROWS, TWO_AXES, WHOLE, INSIDE, CUMULATIVE, BEFORE, WINDOW, LABELS, UNUSED):
        assert certify(derive.derive(derive.parse(lines(op)))).passed


@pytest.mark.parametrize("op", [ROWS, CUMULATIVE], ids=["product", "cumulative"])
@each_array_backend
def test_the_other_factors_take_no_mask_and_the_forward_saves_nothing(op: str, backend: str) -> None:
    found = by_name(backend)
    assert isinstance(found, ArrayBackend)
    made = kernel(op)
    assert not made.saved
    if op is ROWS:
        assert "arange" not in found.text(made, "")


@each_backend
@pytest.mark.parametrize("shape", [(3, 2), (3, 1)])
def test_a_product_over_any_number_of_axes(shape: tuple[int, int], backend: str) -> None:
    """C has a variant without the axes ``*j``, in which every position on them is 0."""
    written = """
        g = starred(W[*j], x[a, *j])
        g = prod[j, a](W[j]*x[a, j])
    """
    judge(written, backend, lambda W, x: (W * x).prod(), normal(shape[1:], shape))
