"""Entries that share an extremum share its gradient, wherever the condition and the count stand in a sum."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from codegen.backends.discovery import by_name
from tests.backends import each_array_backend
from tests.judged import judge, module

V = torch.tensor([1.0, -2.0, -2.0, 3.0, 3.0], dtype=torch.float64)
G = torch.tensor([0.5, 2.0], dtype=torch.float64)
CASES: list[tuple[str, Callable[..., Any], int]] = [
    ("y = f(v[n])\nx[n] = min[n](v[n])\ny = sum[n](x[n])", lambda v: len(v) * v.amin(), 1),
    ("y = f(v[n])\nx[n] = max[n](v[n])\ny = sum[n](x[n]**2)", lambda v: len(v) * v.amax() ** 2, 1),
    ("y = f(v[n], g[c])\nx[c] = max[n](v[n])\ny = sum[c](x[c])", lambda v, g: len(g) * v.amax() + 0 * g.sum(), 2),
    ("y = f(v[n], g[c])\nx[c] = max[n](v[n])\ny = sum[c](x[c]*g[c])", lambda v, g: (v.amax() * g).sum(), 2),
    ("y[*s] = f(v[*s])\ny[*s] = max[s](v[*s])", lambda v: v.amax().expand(v.shape), 1),
]


@each_array_backend
@pytest.mark.parametrize(("text", "reference", "count"), CASES, ids=[c[0].splitlines()[-1] for c in CASES])
def test_ties_share_the_gradient(text: str, reference: Callable[..., Any], count: int, backend: str) -> None:
    judge(text, backend, reference, [V, G][:count])


@each_array_backend
def test_what_is_compared_with_an_extremum_is_what_it_was_taken_of(backend: str) -> None:
    """0.9*v + (1 - 0.9)*v is v on paper, and in float32 another number: then v is never equal to the maximum."""
    made = module("y = f(v[n])\ns[n] = 0.9*v[n] + (1 - 0.9)*v[n]\ny = max[n](s[n])", backend)
    wanted = list(inspect.signature(made.f_backward).parameters)
    to = by_name(backend).to
    with by_name(backend).running():
        for v in np.random.default_rng(0).uniform(1, 2, (20, 3)).astype(np.float32):
            values = {"v": to(v), "dy": to(np.float32(1))}
            _, saved = made.f_forward(values["v"])
            values |= dict(zip([n for n in wanted if n not in values], saved, strict=True))
            assert float(made.f_backward(*(values[n] for n in wanted)).sum()) == 1
