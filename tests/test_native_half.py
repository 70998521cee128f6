"""C kernels in half precision: each gradient has the dtype of its own input, whatever the forward saved."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from generated.native import layernorm_backward, layernorm_forward
from generated.native import softmax_cross_entropy_backward as loss_backward
from generated.native import softmax_cross_entropy_forward as loss_forward
from generated.native import softmax_cross_entropy_forward_backward as loss_forward_backward

HALF, SINGLE = np.dtype(np.float16), np.dtype(np.float32)
LABELS = np.array([0, 3, 1])


def logits(dtype: Any) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(3, 4)).astype(dtype)


@pytest.mark.parametrize(("dloss", "expected"), [(np.float16(2), HALF), (np.float32(2), SINGLE), (2.0, SINGLE)])
def test_the_gradient_of_a_loss_says_in_which_precision(dloss: Any, expected: np.dtype[Any]) -> None:
    """All arrays of this backward are what the forward saved in float32; a number of Python says nothing."""
    z = logits(np.float16)
    loss, saved = loss_forward(z, LABELS)
    assert loss.dtype == HALF and saved[0].dtype == SINGLE
    dz = loss_backward(dloss, *saved, LABELS)
    assert dz.dtype == expected
    assert np.array_equal(dz, loss_backward(2.0, *loss_forward(z.astype(np.float32), LABELS)[1], LABELS).astype(expected))


def test_a_half_number_beside_double_arrays_is_a_number() -> None:
    _, saved = loss_forward(logits(np.float64), LABELS)
    assert loss_backward(np.float16(2), *saved, LABELS).dtype == np.float64


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_tensors_too(dtype: torch.dtype) -> None:
    z, t = torch.from_numpy(logits(np.float32)).to(dtype), torch.from_numpy(LABELS)
    loss, saved = loss_forward(z, t)
    assert loss.dtype == dtype and saved[0].dtype == torch.float32
    assert loss_backward(torch.ones_like(loss), *saved, t).dtype == dtype
    assert [r.dtype for r in loss_forward_backward(z, t)] == [dtype, dtype]
    target = torch.empty_like(z)
    assert loss_backward(torch.ones_like(loss), *saved, t, out=target) is target


@pytest.mark.parametrize("kind", ["array", "tensor"])
def test_activations_in_half_and_weights_in_single_precision(kind: str) -> None:
    rng = np.random.default_rng(1)
    x, gamma, beta = (rng.normal(size=s).astype(d) for s, d in (((3, 4), HALF), (4, SINGLE), (4, SINGLE)))
    given = [x, gamma, beta] if kind == "array" else [torch.from_numpy(a) for a in (x, gamma, beta)]
    y, saved = layernorm_forward(*given)
    dx, dgamma, dbeta = layernorm_backward(y, *saved, given[1])
    assert y.dtype == dx.dtype == given[0].dtype and dgamma.dtype == given[1].dtype
    assert dbeta.dtype == y.dtype  # this backward does not read beta: dy says
    wide = layernorm_backward(np.asarray(y).astype(SINGLE), *map(np.asarray, saved), gamma)
    assert np.array_equal(np.asarray(dgamma), wide[1]) and np.array_equal(np.asarray(dx), wide[0].astype(HALF))
