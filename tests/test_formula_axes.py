"""The axes of what a bare formula reads: also of a tensor that it reads on diagonals alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

import derive
from tests.backends import RUNNING_ARRAYS
from tests.judged import judge, normal

FORMULAS: list[tuple[str, list[str], Callable[..., Any]]] = [
    ("f[i, j] = b[i, j, i]", ["b i j i2"], lambda b: torch.einsum("iji->ij", b)),
    ("y[i] = x[i, i]**2", ["x i i2"], lambda x: x.diagonal() ** 2),
    ("y = sum[i](x[i, i])", ["x i i2"], lambda x: x.trace()),
    ("y[i] = x[i, i, i]*i2[i]", ["x i i3 i4", "i2 i"], lambda x, w: torch.einsum("iii->i", x) * w),
    ("y[i] = sum[j](x[i, i]*x[i, j])", ["x i j"], lambda x: x.diagonal() * x.sum(1)),
    ("d[i, j] = s[i, i] + s[j, j]", ["s i i2"], lambda s: s.diagonal()[:, None] + s.diagonal()),
]


@pytest.mark.parametrize(("text", "inputs", "reference"), FORMULAS, ids=[f[0] for f in FORMULAS])
def test_every_axis_of_an_input_has_a_name_of_its_own(text: str, inputs: list[str], reference: Callable[..., Any]) -> None:
    op = derive.parse_formula(text)
    assert [" ".join((t.name, *t.axes)) for t in op.inputs] == inputs
    for backend in RUNNING_ARRAYS:
        judge(text, backend, reference, normal(*([3] * len(t.axes) for t in op.inputs)))
