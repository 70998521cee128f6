"""Positions that an equation finds: the first of the largest or smallest, as in torch, looked up and never differentiated."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import derive
from codegen.backends.discovery import by_name
from codegen.build import build
from derive.certify import certify
from derive.errors import OpError
from derive.language.unicode import text
from derive.show.latex import latex
from tests.backends import each_array_backend
from tests.judged import judge, kernel, lines, module, normal

LARGEST = """
    y[n] = f(x[n, k])
    a[n] = argmax[k](x[n, k])
    y[n] = x[n, a[n]]**2
"""
QUANTIZER = """
    y[*s, d], loss = f(x[*s, d], e[c, d])
    near[*s, c] = sum[d]((x[*s, d] - e[c, d])**2)
    a[*s] = argmin[c](near[*s, c])
    q[*s, d] = e[a[*s], d]
    y[*s, d] = x[*s, d] + stop(q[*s, d] - x[*s, d])
    loss = mean[s, d]((q[*s, d] - stop(x[*s, d]))**2)
"""
MASKED = """
    y[n, k] = f(x[n, k], w[k])
    a[n] = argmax[k](softmax_x[n, k]*w[k])
    y[n, k] = where(k <= a[n], x[n, k], 0) + where(k == a[n], w[k], 0)
"""
MASKED = MASKED.replace("softmax_x[n, k]", "exp(x[n, k])")
WHOLE = """
    y[d] = f(x[k], w[k, d])
    a = argmax[k](x[k])
    y[d] = w[a, d]*x[a]
"""


def quantizer(x: torch.Tensor, e: torch.Tensor) -> Any:
    at = ((x[..., None, :] - e) ** 2).sum(-1).argmin(-1)
    q = e[at]
    return x + (q - x).detach(), ((q - x.detach()) ** 2).mean()


def masked(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    at, k = (x.exp() * w).argmax(1, keepdim=True), torch.arange(len(w))
    return torch.where(k <= at, x, 0) + torch.where(k == at, w, 0)


Case = tuple[str, Callable[..., Any], list[tuple[int, ...]]]
CASES: dict[str, Case] = {
    "largest": (LARGEST, lambda x: x.gather(1, x.argmax(1)[:, None])[:, 0] ** 2, [(4, 3)]),
    "one entry": (LARGEST, lambda x: x.gather(1, x.argmax(1)[:, None])[:, 0] ** 2, [(4, 1)]),
    "no row": (LARGEST, lambda x: x.gather(1, x.argmax(1)[:, None])[:, 0] ** 2, [(0, 3)]),
    "quantizer": (QUANTIZER, quantizer, [(2, 3, 4), (5, 4)]),
    "masked": (MASKED, masked, [(3, 4), (4,)]),
    "whole": (WHOLE, lambda x, w: w[x.argmax()] * x.max(), [(4,), (4, 2)]),
}


@pytest.mark.parametrize("case", CASES)
@each_array_backend
def test_what_is_found_equals_torch(case: str, backend: str) -> None:
    op, reference, shapes = CASES[case]
    judge(op, backend, reference, normal(*shapes))


@each_array_backend
def test_of_equal_entries_the_first_is_found(backend: str) -> None:
    x = torch.tensor([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0], [0.0, -1.0, 0.0]], dtype=torch.float64)
    judge(LARGEST, backend, lambda x: x[torch.arange(3), torch.tensor([1, 0, 0])] ** 2, [x])


@each_array_backend
def test_nan_is_found(backend: str) -> None:
    found = by_name(backend)
    with found.running():
        y, _ = module(LARGEST, backend).f_forward(found.to(np.array([[1.0, math.nan, 3.0], [1.0, 2.0, 0.0]])))
        np.testing.assert_array_equal(found.back(y), [math.nan, 4.0])


def test_transforms_of_torch_find_positions_too() -> None:
    f = module(LARGEST, "torch").f
    (x,) = normal((5, 4, 3))
    wanted = x.max(2).values ** 2
    torch.testing.assert_close(torch.vmap(f)(x), wanted)
    torch.testing.assert_close(torch.compile(f, backend="eager", fullgraph=True)(x[0]), wanted[0])
    twice = torch.autograd.functional.hessian(lambda x: f(x).sum(), x[0])
    torch.testing.assert_close(twice, torch.autograd.functional.hessian(lambda x: (x.max(1).values ** 2).sum(), x[0]))


@pytest.mark.parametrize("op", [LARGEST, QUANTIZER, MASKED, WHOLE], ids=["largest", "quantizer", "masked", "whole"])
def test_derivations_are_certified(op: str) -> None:
    assert certify(derive.derive(derive.parse(lines(op)))).passed


def test_nothing_is_sent_back_through_a_position() -> None:
    derivation = derive.derive(derive.parse(lines(QUANTIZER)))
    found = {line.name: text(line.tree) for line in derivation.lines}
    assert found["dx"] == "dy[s,d]"
    assert not {"dnear", "da"} & {d.name for d in derivation.chain}


def test_a_position_is_saved_as_integers_and_typeset() -> None:
    made = kernel(LARGEST)
    assert {t.name: t.labels for t in made.saved} == {"a": "k"}
    assert latex(made.op.equations[0].rhs) == r"\operatorname{argmax}_{k} x_{n,k}"


def test_c_refuses_by_name() -> None:
    with pytest.raises(OpError, match="there are no native C kernels of it: 'a' holds positions"):
        build(derive.parse(lines(LARGEST)), backends=["native"])


@pytest.mark.parametrize(
    ("equation", "said"),
    [
        ("y[n] = 2*argmax[k](x[n, k])", "'argmax' gives a position, which is no number: give it a name of its own"),
        ("y[n] = argmax[k](x[n, k])", "'y' holds positions, which have no gradient: give a number beside it"),
        ("a = argmax[n, k](x[n, k])\ny[n] = x[n, a]", "'argmax' gives the position on one axis"),
        ("a[n] = argmax[k](x[n, k])\ny[n] = a[n]*2", "'a' holds labels, which are no numbers"),
        ("a[n] = argmax[k](x[n, k])\ny[n] = x[a[n], 0]", "'a' indexes 'k', but slot 1 of 'x' is 'n'"),
        ("a[n] = argmax[k](x[n, k + 1])\ny[n] = x[n, a[n]]", "'argmax' takes no sums of positions"),
        ("y[n] = topk[k](x[n, k])", "r[n] = sum[m](where(a[m] > a[n], 1, 0)) and then where(r[n] < 3, a[n], 0)"),
    ],
)
def test_misuse_is_explained(equation: str, said: str) -> None:
    with pytest.raises(OpError) as caught:
        derive.parse(f"y[n] = f(x[n, k])\n{equation}")
    assert said in str(caught.value)
