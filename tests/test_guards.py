"""Where a maximum or a minimum takes its other argument, nothing of this one's gradient is seen: not NaN, not infinity."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

import derive
from derive.language.unicode import language
from derive.show.trees import of_derivation
from tests.backends import each_backend
from tests.judged import judge

X = torch.tensor([-3.0, -1e-3, 0.25, 0.5, 2.0], dtype=torch.float64)
Z = torch.tensor([0.0, 2.0, 1.0, 0.25, 2.0], dtype=torch.float64)
Reference = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def above(x: torch.Tensor, least: float) -> torch.Tensor:
    return torch.maximum(x, torch.full_like(x, least))


def below(x: torch.Tensor, most: float) -> torch.Tensor:
    return torch.minimum(x, torch.full_like(x, most))


CASES: dict[str, Reference] = {
    "sqrt(maximum(x[n], 0)) + z[n]": lambda x, z: above(x, 0).sqrt() + z,
    "z[n]*log(minimum(maximum(x[n], 0), 1))": lambda x, z: z * below(above(x, 0), 1).log(),
    "sqrt(1 - minimum(maximum(x[n], -1), 1)) + z[n]**2": lambda x, z: (1 - below(above(x, -1), 1)).sqrt() + z**2,
    "atan(1/maximum(x[n], 0))": lambda x, z: torch.atan(1 / above(x, 0)) + 0 * z,
}


@each_backend
@pytest.mark.parametrize("right", CASES)
def test_values_and_gradients_are_torchs(right: str, backend: str) -> None:
    judge(f"y[n] = f(x[n], z[n])\ny[n] = {right}", backend, CASES[right], [X, Z])


def test_the_guard_is_outermost() -> None:
    derivation = derive.derive(derive.parse("y[n] = f(x[n], z[n])\ny[n] = sqrt(maximum(x[n], z[n]))"))
    show = of_derivation(derivation)
    found = {line.name: language(show(line.body, line.index)) for line in derivation.lines}
    assert found["dx"].startswith("where(x[n] < z[n], 0, ")
    assert found["dz"].startswith("where(z[n] < x[n], 0, ")


S = torch.tensor([[0.0, 1.0, 4.0], [9.0, 0.0, 0.0], [1.0, 2.0, 4.0]], dtype=torch.float64)
LABELS = torch.tensor([0, 2, 2])
READS: dict[str, tuple[str, Callable[..., torch.Tensor], list[torch.Tensor]]] = {
    "a diagonal": ("y[i] = f(x[i, j])\ny[i] = sqrt(x[i, i])", lambda x: x.diagonal().sqrt(), [S]),
    "a label of each row": (
        "y[n] = f(x[n, k], t[n])\nt[n] in k\ny[n] = -log(x[n, t[n]])",
        lambda x, t: -x.gather(1, t[:, None])[:, 0].log(),
        [S, LABELS],
    ),
    "one label": ("y = f(x[k], g)\ng in k\ny = sqrt(x[g])", lambda x, g: x[g].sqrt(), [S[0], LABELS[0]]),
}


@each_backend
@pytest.mark.parametrize("name", READS)
def test_the_gradient_of_one_entry_is_0_at_all_others(name: str, backend: str) -> None:
    """Where the slope at that entry is infinite: 0 times infinity is NaN."""
    text, reference, inputs = READS[name]
    judge(text, backend, reference, inputs)
