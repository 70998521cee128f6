"""Samples of an op of torch, and whether ours agrees on one: the value, the gradient and the second gradient."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.testing._internal.common_methods_invocations import op_db
from torch.testing._internal.opinfo.core import OpInfo, SampleInput

from tests.opinfo.adapters import ADAPTERS
from tests.opinfo.reasons import NotApplicable

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


def outcome(name: str) -> Outcome:
    """What becomes of the samples of an op."""
    return outcome_of(
        (f"{name} {number}: {sample.summary()}", partial(_agrees, info, sample, ADAPTERS[name]))
        for number, (info, sample) in enumerate(samples(name))
    )


def outcome_of(checks: Iterable[tuple[str, Callable[[], None]]]) -> Outcome:
    """What becomes of checks, each with a text that says what it checks."""
    found = Outcome()
    for what, check in checks:
        try:
            check()
            found.passed += 1
        except NotApplicable as reason:
            found.reasons[str(reason)] += 1
        except Exception as error:
            found.failures.append(f"{what}\n{type(error).__name__}: {error}")
    return found


def _agrees(info: OpInfo, sample: SampleInput, adapter: Callable[..., Any]) -> None:
    """Raise AssertionError where the two differ, NotApplicable where ours is not asked."""
    with sdpa_kernel(SDPBackend.MATH):  # the others have no second derivative
        ours, theirs = (_of_sample(function, sample, info.supports_gradgrad) for function in (adapter, info.op))
    compare(ours, theirs)


def compare(ours: list[Tensor], theirs: list[Tensor]) -> None:
    """Raise AssertionError unless the values, gradients and second gradients are equal."""
    for got, want in zip(ours, theirs, strict=True):
        finite = want[want.isfinite()].abs()
        largest = float(finite.max()) if finite.numel() else 0.0
        torch.testing.assert_close(got, want, rtol=RTOL, atol=RTOL * max(largest, 1e-3), equal_nan=True)


def _of_sample(function: Callable[..., Any], sample: SampleInput, second: bool) -> list[Tensor]:
    arguments = [leaf(a) for a in (sample.input, *sample.args)]
    given = {name: leaf(a) for name, a in sample.kwargs.items()}
    wanted = [a for a in (*arguments, *given.values()) if isinstance(a, Tensor) and a.requires_grad]
    return derivatives(function(*arguments, **given), wanted, second)


def leaf(value: Any) -> Any:
    """A copy of a tensor by itself; what is no tensor as it is."""
    return value.detach().clone().requires_grad_(value.requires_grad) if isinstance(value, Tensor) else value


def derivatives(found: Any, wanted: list[Tensor], second: bool) -> list[Tensor]:
    """The values, the gradients of a projection of them, and the gradients of a projection of these if that is asked for.

    ``found`` is a tensor or several. Positions among them are no values: no op of ours returns any.
    """
    tensors = (found,) if isinstance(found, Tensor) else tuple(found)
    values = [v for v in tensors if v.is_floating_point()]
    if not wanted:
        return [v.detach() for v in values]
    first = _gradients(values, wanted, seed=1, create_graph=second)
    twice = [torch.zeros_like(w) for w in wanted] if second else []
    for number, g in enumerate(g for g in first if g.requires_grad):
        twice = [a + b for a, b in zip(twice, _gradients([g], wanted, seed=2 + number), strict=True)]
    return [*(v.detach() for v in values), *(g.detach() for g in first), *twice]


def _gradients(of: list[Tensor], wanted: list[Tensor], seed: int, create_graph: bool = False) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    rooted = [v for v in of if v.requires_grad]
    if not rooted:
        return [torch.zeros_like(w) for w in wanted]
    upstream = [torch.randn(v.shape, dtype=v.dtype, generator=generator) for v in rooted]
    found = torch.autograd.grad(
        rooted, wanted, upstream, retain_graph=True, create_graph=create_graph, allow_unused=True, materialize_grads=True
    )
    return list(found)
