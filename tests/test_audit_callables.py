"""The auditor on callables that are no plain functions, and on backwards that no single call shows to be wrong."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest

import codegen
from codegen.tools.auditor.report import CORRECT, WRONG


class Called:
    def __call__(self, dy: Any, y: Any) -> Any:
        return dy * np.subtract(1, y) * np.add(1, y)


@pytest.mark.parametrize(
    ("backward", "op"),
    [
        (Called(), "tanh"),
        (Called().__call__, "tanh"),
        (partial(lambda one, dy, y: np.multiply(dy, y) * (one - y), 1), "sigmoid"),
        (np.errstate(all="ignore")(lambda dy, x: np.where(x > 0, dy, 0)), "relu"),
    ],
    ids=["an object", "its method", "a partial call", "a decorated function"],
)
def test_whatever_can_be_called_is_audited(backward: Any, op: str) -> None:
    assert codegen.audit(backward, op).verdict == CORRECT


def test_what_remembers_its_first_arguments_is_wrong() -> None:
    slopes: dict[tuple[int, ...], np.ndarray] = {}

    def backward(dy: Any, y: Any) -> Any:
        return dy * slopes.setdefault((*y.shape, y.itemsize), 1 - y * y)

    assert codegen.audit(backward, "tanh").verdict == WRONG


def test_eps_beside_the_root_is_told_though_it_is_small() -> None:
    def backward(dy: Any, x: Any, gamma: Any, eps: Any) -> Any:
        rstd = 1 / (np.sqrt(np.square(x).mean(-1, keepdims=True)) + eps)
        xhat, g = x * rstd, dy * gamma
        return rstd * (g - xhat * (g * xhat).mean(-1, keepdims=True)), (dy * xhat).reshape(-1, x.shape[-1]).sum(0)

    report = codegen.audit(backward, "rmsnorm")
    assert report.verdict == WRONG and "eps is added outside the root instead of under it" in " ".join(str(report).split())
