"""Third derivatives by torch where values tie or are 0: those of torch's own functions, whose choices are the declared ones.

Ties of maxima share equally, ``abs`` and ``relu`` have the slope 0 at 0, and every further derivative is that of these.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch

import generated.torch
from tests.judged import module

X = torch.tensor([[0.0, 0.0, 1.0], [1.0, 1.0, -1.0], [2.0, -1.0, 0.0], [0.0, 0.0, 0.0]], dtype=torch.float64)
Z = torch.tensor([[0.0, 1.0, 1.0], [1.0, -1.0, -1.0], [0.0, -1.0, 2.0], [0.0, 0.5, 0.0]], dtype=torch.float64)
Function = Callable[..., torch.Tensor]

SYSTEMS: dict[str, Function] = {
    "maximum(x[n,k], 0)*x[n,k]**2 + z[n,k]": lambda x, z: torch.maximum(x, 0 * x.detach()) * x**2 + z,
    "abs(x[n,k])*x[n,k]**2*z[n,k]": lambda x, z: x.abs() * x**2 * z,
    "relu(x[n,k])**3 + relu(z[n,k])*x[n,k]**2": lambda x, z: x.relu() ** 3 + z.relu() * x**2,
    "maximum(x[n,k], z[n,k])**3": lambda x, z: torch.maximum(x, z) ** 3,
    "minimum(x[n,k], z[n,k])*x[n,k]*z[n,k]": lambda x, z: torch.minimum(x, z) * x * z,
    "exp(max[j](x[n,j]*z[n,j]))*z[n,k]": lambda x, z: (x * z).amax(1, keepdim=True).exp() * z,
    "max[j](x[n,j])**3*z[n,k]": lambda x, z: x.amax(1, keepdim=True) ** 3 * z,
    "where(x[n,k] > z[n,k], x[n,k]**3, z[n,k]*x[n,k]**2)": lambda x, z: torch.where(x > z, x**3, z * x**2),
    "(maximum(x[n,k], 0) + log1p(exp(-abs(x[n,k]))))*x[n,k] + z[n,k]": lambda x, z: (
        (torch.maximum(x, 0 * x.detach()) + (-x.abs()).exp().log1p()) * x + z
    ),
    "tanh(abs(x[n,k])*z[n,k])": lambda x, z: (x.abs() * z).tanh(),
    "softmax(x[n,k])*abs(z[n,k])**3": lambda x, z: x.softmax(1) * z.abs() ** 3,
}
CATALOGUE: dict[str, Function] = {
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "silu": lambda x: x * torch.sigmoid(x),
    "gelu": lambda x: x * (1 + torch.erf(x / 2**0.5)) / 2,
    "tanh": torch.tanh,
}


def derivatives(function: Function, inputs: Sequence[torch.Tensor], order: int = 3) -> list[torch.Tensor]:
    """The values, and the gradients of random combinations of what came before, one after the other."""
    generator = torch.Generator().manual_seed(0)
    leaves = [a.clone().requires_grad_() for a in inputs]
    found = [function(*leaves)]
    everything = list(found)
    for _ in range(order):
        total = sum((v * torch.randn(v.shape, generator=generator, dtype=v.dtype)).sum() for v in found)
        total = total + sum(0 * leaf.sum() for leaf in leaves)  # what depends on nothing has the gradient 0
        found = list(torch.autograd.grad(total, leaves, create_graph=True))
        everything += found
    return everything


def assert_same(one: Function, other: Function, inputs: Sequence[torch.Tensor]) -> None:
    for a, b in zip(derivatives(one, inputs), derivatives(other, inputs), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("right", SYSTEMS)
def test_of_systems(right: str) -> None:
    made = module(f"y[n,k] = f(x[n,k], z[n,k])\ny[n,k] = {right}", "torch")
    assert_same(made.f, SYSTEMS[right], [X, Z])


@pytest.mark.parametrize("name", CATALOGUE)
def test_of_the_catalogue(name: str) -> None:
    assert_same(getattr(generated.torch, name), CATALOGUE[name], [X])
