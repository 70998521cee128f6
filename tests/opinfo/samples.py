"""Samples of an op of torch, and whether ours agrees on one: the value, the gradient and the second gradient."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.testing._internal.common_methods_invocations import op_db
from torch.testing._internal.opinfo.core import OpInfo, SampleInput

from tests.opinfo.adapters import ADAPTERS, NotApplicable

RTOL = 1e-9


@dataclass
class Outcome:
    """What became of the samples of one op: how many passed, why others do not apply, and what failed."""

    passed: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)


@cache
def infos() -> dict[str, list[OpInfo]]:
    """The descriptions of ops by name; some have variants that are called differently and are the same op."""
    found: dict[str, list[OpInfo]] = {}
    for info in op_db:
        if info.name in ADAPTERS:
            found.setdefault(info.name, []).append(info)
    return found


def samples(name: str) -> Iterator[tuple[OpInfo, SampleInput]]:
    """Every sample of the op of that name, in float64."""
    for info in infos()[name]:
        torch.manual_seed(0)
        for sample in info.sample_inputs("cpu", torch.float64, requires_grad=True):
            yield info, sample


def outcome(name: str, limit: int | None = None) -> Outcome:
    """What becomes of the samples of an op, of the first ``limit`` of them."""
    found = Outcome()
    for number, (info, sample) in enumerate(samples(name)):
        if number == limit:
            break
        try:
            _compare(info, sample, ADAPTERS[name])
            found.passed += 1
        except NotApplicable as reason:
            found.reasons[str(reason)] += 1
        except Exception as error:
            found.failures.append(f"{name} {number}: {type(error).__name__}: {error}\n{sample.summary()}")
    return found


def _compare(info: OpInfo, sample: SampleInput, adapter: Callable[..., Tensor]) -> None:
    """Raise AssertionError where the two differ, NotApplicable where ours is not asked."""
    ours = _derivatives(adapter, sample)
    with sdpa_kernel(SDPBackend.MATH):  # the others have no second derivative
        theirs = _derivatives(info.op, sample)
    for got, want in zip(ours, theirs, strict=True):
        largest = float(want.abs().max()) if want.numel() else 0.0
        torch.testing.assert_close(got, want, rtol=RTOL, atol=RTOL * max(largest, 1e-3), equal_nan=True)


def _derivatives(function: Callable[..., Any], sample: SampleInput) -> list[Tensor]:
    """The value, the gradients of a projection of it, and the gradients of a projection of these."""

    def leaf(value: Any) -> Any:
        return value.detach().clone().requires_grad_(value.requires_grad) if isinstance(value, Tensor) else value

    arguments = [leaf(a) for a in (sample.input, *sample.args)]
    given = {name: leaf(a) for name, a in sample.kwargs.items()}
    wanted = [a for a in (*arguments, *given.values()) if isinstance(a, Tensor) and a.requires_grad]
    value = function(*arguments, **given)
    if not wanted:
        return [value.detach()]
    first = _gradients(value, wanted, seed=1, create_graph=True)
    smooth = [g for g in first if g.requires_grad]
    second = [torch.zeros_like(w) for w in wanted]
    for number, g in enumerate(smooth):
        second = [a + b for a, b in zip(second, _gradients(g, wanted, seed=2 + number), strict=True)]
    return [value.detach(), *(g.detach() for g in first), *second]


def _gradients(of: Tensor, wanted: list[Tensor], seed: int, create_graph: bool = False) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    upstream = torch.randn(of.shape, dtype=of.dtype, generator=generator)
    found = torch.autograd.grad(
        of, wanted, upstream, retain_graph=True, create_graph=create_graph, allow_unused=True, materialize_grads=True
    )
    return list(found)
