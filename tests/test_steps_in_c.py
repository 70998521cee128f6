"""Recurrences in C: a step reads and writes its parts of tensors where they lie, wherever the axis of the steps stands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from codegen.backends.discovery import by_name
from codegen.loops.segments import segments
from tests.judged import judge, kernel, normal


def written(*axes: str) -> str:
    """A network whose output and inputs have these axes, of which ``t`` are the steps."""

    def over(k: str, at: str = "t") -> str:
        return ", ".join({"t": at, "k": k}.get(a, a) for a in axes)

    start = ", ".join(a for a in axes if a != "t")
    return f"""
        h[{over("k")}] = stepping(x[{over("k")}], U[j, k], h0[{start}])
        h[{over("k", "-1")}] = h0[{start}]
        h[{over("k")}] = tanh(x[{over("k")}] + sum[j](h[{over("j", "t - 1")}]*U[j, k]))
    """


def stepped(axes: tuple[str, ...]) -> Callable[..., Any]:
    """The same with torch, a step after the other."""
    rest = [a for a in axes if a != "t"]
    given, out = "".join(rest).replace("k", "j"), "".join(rest)

    def run(x: Any, U: Any, h: Any) -> Any:
        found = []
        for step in x.unbind(axes.index("t")):
            h = torch.tanh(step + torch.einsum(f"{given},jk->{out}", h, U))
            found.append(h)
        return torch.stack(found, axes.index("t"))

    return run


ORDERS = [("n", "t", "k"), ("t", "n", "k"), ("n", "k", "t"), ("t", "k"), ("k", "t"), ("n", "t", "m", "k"), ("n", "m", "t", "k")]
SIZES = {"n": 3, "m": 2, "t": 7, "k": 5}


@pytest.mark.parametrize("axes", ORDERS, ids="".join)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_steps_along_any_axis_equal_torch(axes: tuple[str, ...], dtype: torch.dtype) -> None:
    shape = [SIZES[a] for a in axes]
    start = [SIZES[a] for a in axes if a != "t"]
    judge(written(*axes), "native", stepped(axes), normal(shape, (5, 5), start, dtype=dtype))


def test_inputs_may_lie_apart() -> None:
    axes = ("n", "t", "k")
    x, h0 = normal((3, 7, 10), (3, 10))
    judge(written(*axes), "native", stepped(axes), [x[..., ::2], normal((5, 5))[0].T, h0[:, ::2]])


@pytest.mark.parametrize("axes", [("n", "t", "k"), ("t", "n", "k")], ids="".join)
def test_no_step_copies_its_parts(axes: tuple[str, ...]) -> None:
    files = by_name("native").files(kernel(written(*axes)), "")
    assert not any(copy in files["native/stepping.c"] for copy in ("take_step(", "put_step("))


def test_a_matrix_that_steps_read_by_columns_is_turned_before_them() -> None:
    before, step, _ = segments(kernel(written("n", "t", "k")).backward)
    assert "U_turned" in before.program.results
    assert "U_turned" in (read := {a.name for a in step.program.arguments}) and "U" not in read
    (forward,) = segments(kernel(written("n", "t", "k")).forward)
    assert "U" in {a.name for a in forward.program.arguments}
