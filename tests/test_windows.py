"""Convolutions and pooling: equal to torch's own in every backend, by slices and bounds of loops, never by a mask."""

from __future__ import annotations

import functools
import itertools
import random
import tracemalloc
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from codegen.backends.arrays.backend import ArrayBackend
from codegen.backends.discovery import by_name
from codegen.backends.native.machine import scheduled
from codegen.loops.loop import assignments_in
from derive import syntax as st
from derive.syntax import on_indices
from tests.backends import each_array_backend, each_backend
from tests.judged import judge, kernel, module, normal

#: The input ``b`` gives the output its length, which torch computes from the others'.
CONV1D = """
    y[n, o, i] = conv(x[n, c, l], W[o, c, k], b[o, i], stride=1, pad=0, dilation=1)
    y[n, o, i] = b[o, i] + sum[c, k, l](where(l - i*stride - k*dilation + pad == 0, x[n, c, l]*W[o, c, k], 0))
"""
CONV2D = """
    y[n, o, i, j] = conv2d(x[n, c, h, w], W[o, c, p, q], b[i, j], pad=1)
    y[n, o, i, j] = b[i, j] + sum[c, p, q, h, w](where(h - 2*i - p + pad == 0, \
        where(w - j - q + pad == 0, x[n, c, h, w]*W[o, c, p, q], 0), 0))
"""
DEPTHWISE = """
    y[n, i, c] = depthwise(x[n, l, c], W[c, k], b[i])
    y[n, i, c] = b[i]*sum[k, l](where(l - i + k == 0, x[n, l, c]*W[c, k], 0))
"""
LARGEST = """
    y[n, i] = largest(x[n, i], w[k])
    y[n, i] = max[k](x[n, i + k - 1])*sum[k](w[k])
"""
AVERAGE = """
    y[n, i] = average(x[n, l], w[k], b[i])
    y[n, i] = b[i] + sum[k, l](where(l - 3*i - k + 1 == 0, x[n, l]*w[k]**0, 0))/size(k)
"""
SHIFT = """
    y[n, i] = shift(x[n, l], b[i], by=2)
    y[n, i] = b[i]*sum[l](where(l - i + by == 0, x[n, l]**2, 0))
"""
MEAN = """
    y[n, i] = meant(x[n, l], w[k], b[i])
    y[n, i] = b[i] - mean[k, l](where(l == 2*i + k - 1, x[n, l]*w[k], 0))
"""

OPS = (CONV1D, CONV2D, DEPTHWISE, LARGEST, AVERAGE, SHIFT, MEAN)


def fitted(y: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """The first elements of an output, and zeros beyond it: an input gives the length here, in torch the other lengths do."""
    for axis in range(1, like.ndim + 1):
        length = like.shape[-axis]
        y = y.narrow(-axis, 0, min(length, y.shape[-axis]))
        y = functional.pad(y, [*([0] * 2 * (axis - 1)), 0, length - y.shape[-axis]])
    return y


def padded(x: torch.Tensor, before: int, after: int) -> torch.Tensor:
    return functional.pad(x, [before, after])


def conv(x: Any, W: Any, b: Any, stride: float, pad: float, dilation: float) -> Any:
    wide = padded(x, int(pad), int(stride) * b.shape[-1] + int(dilation) * W.shape[-1])
    return b + fitted(functional.conv1d(wide, W, stride=int(stride), dilation=int(dilation)), b[0])


def conv2d(x: Any, W: Any, b: Any, pad: float) -> Any:
    wide = functional.pad(x, [int(pad), b.shape[1] + W.shape[3], int(pad), 2 * b.shape[0] + W.shape[2]])
    return b + fitted(functional.conv2d(wide, W, stride=(2, 1)), b)


def depthwise(x: Any, W: Any, b: Any) -> Any:
    wide = padded(x.mT, W.shape[1] - 1, len(b))
    return b[:, None] * fitted(functional.conv1d(wide, W.flip(1)[:, None], groups=len(W)), b).mT


def average(x: Any, w: Any, b: Any) -> Any:
    size = len(w)
    return b + fitted(functional.avg_pool1d(padded(x, 1, 3 * len(b) + size)[:, None], size, stride=3)[:, 0], b)


def meant(x: Any, w: Any, b: Any) -> Any:
    fits = fitted(functional.conv1d(padded(x, 1, 2 * len(b))[:, None], w[None, None], stride=2)[:, 0], b)
    return b - fits / (len(w) * x.shape[1])


def shift(x: Any, b: Any, by: float) -> Any:
    return b * fitted(functional.pad(x**2, [int(by), 0]), b)


def largest(x: Any, w: Any) -> Any:
    wide = functional.pad(x, [1, len(w)], value=-torch.inf)
    return functional.max_pool1d(wide[:, None], len(w), stride=1)[:, 0, : x.shape[1]] * w.sum()


def random_conv(seed: int) -> tuple[list[torch.Tensor], dict[str, float]]:
    """Sizes and constants of a convolution: strides that do not divide, windows longer than the axis, axes of length 1."""
    rng = random.Random(seed)
    n, o, c, i, l, k = (rng.choice(choice) for choice in ((1, 2), (1, 3), (1, 2), (1, 4, 9), (1, 5, 8), (1, 2, 3, 11)))
    constants = {"stride": rng.randint(1, 3), "pad": rng.choice((0, 1, 4, -1)), "dilation": rng.randint(1, 3)}
    return normal((n, c, l), (o, c, k), (o, i), seed=seed), constants


CASES: dict[str, tuple[str, Any, list[torch.Tensor]]] = {
    "conv2d": (CONV2D, conv2d, normal((2, 3, 7, 6), (2, 3, 3, 2), (4, 5))),
    "depthwise": (DEPTHWISE, depthwise, normal((2, 7, 3), (3, 4), (7,))),
    "largest": (LARGEST, largest, normal((2, 9), (4,))),
    "average": (AVERAGE, average, normal((2, 11), (3,), (4,))),
    "mean": (MEAN, meant, normal((2, 11), (3,), (4,))),
    "shift": (SHIFT, shift, normal((2, 6), (7,))),
    "shift beyond the axis": (SHIFT, shift, normal((2, 1), (2,))),
}


@pytest.mark.parametrize("seed", range(6))
@each_backend
def test_convolutions_equal_torch(seed: int, backend: str) -> None:
    inputs, constants = random_conv(seed)
    judge(CONV1D, backend, conv, inputs, **constants)


@pytest.mark.parametrize("case", CASES)
@each_backend
def test_windows_equal_torch(case: str, backend: str) -> None:
    judge(CASES[case][0], backend, *CASES[case][1:])


@pytest.mark.parametrize("op", OPS, ids=lambda op: op.split("(")[0].split()[-1])
@each_array_backend
def test_no_mask_is_written(op: str, backend: str) -> None:
    found = by_name(backend)
    assert isinstance(found, ArrayBackend)
    assert "arange" not in found.text(kernel(op), "")


@pytest.mark.parametrize("op", OPS, ids=lambda op: op.split("(")[0].split()[-1])
def test_no_loop_tests_a_row(op: str) -> None:
    """No statement in a loop nest has a condition on indices, and no loop runs over an index that the others give."""
    for program in (kernel(op).forward, kernel(op).backward):
        found = [f for f, _ in assignments_in(scheduled(program).body)]
        assert not [n for f in found for n in st.walk(f.body) if on_indices(n)]
        slid = [f for f in found if f.slides]
        assert slid
        assert not any(s.inner in f.loops for f in slid for s in f.slides)


def test_a_row_is_complete_before_the_next() -> None:
    """Over the taps of a window, all but the last axis of the result stay where they are."""
    made = kernel("""
        y[n, p, q] = pool(x[n, h, w], kernel=3, stride=2, pad=1)
        size(k) = kernel
        size(m) = kernel
        size(p) = (size(h) + 2*pad - kernel)//stride + 1
        size(q) = (size(w) + 2*pad - kernel)//stride + 1
        y[n, p, q] = max[k, m](x[n, p*stride + k - pad, q*stride + m - pad])
    """)
    found = {f.name: f for f, _ in assignments_in(scheduled(made.forward).body)}
    assert found["y"].loops == found["total"].loops == ("n", "p", "m", "k", "q")
    (dx,) = (f for f, _ in assignments_in(scheduled(made.backward).body) if f.name == "dx")
    assert dx.loops == ("n", "p", "m", "k", "q")


@pytest.mark.parametrize("step", [1, 2, 3])
def test_slices_hold_all_pairs_of_a_row(step: int) -> None:
    overlap = module(CONV1D, "numpy")._overlap
    for outer, inner, start in itertools.product(range(5), range(6), range(-7, 8)):
        of_outer, of_inner = overlap(outer, inner, step, start)
        pairs = list(zip(range(outer)[of_outer], range(inner)[of_inner], strict=True))
        assert pairs == [(i, l) for i in range(outer) for l in range(inner) if l == step * i + start]


def test_memory_is_of_the_order_of_the_inputs() -> None:
    x, W, b = (t.numpy() for t in normal((1, 1, 20_000), (1, 1, 3), (1, 20_000)))
    made = module(CONV1D, "numpy")
    for call in (lambda: made.conv_forward(x, W, b, 1, 1, 1), lambda: made.conv_backward(b[None], x, W, 1, 1, 1)):
        tracemalloc.start()
        call()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 12 * x.nbytes  # a mask would have 20,000 entries for each


#: The position in a window is no index of the maximum's terms: what is left of it are two bounds on ``l``.
POOL = """
    y[n, i] = pool(x[n, l], kernel=3, stride=2, pad=1)
    size(k) = kernel
    size(i) = (size(l) + 2*pad - kernel)//stride + 1
    y[n, i] = max[k](x[n, i*stride + k - pad])
"""


def test_two_bounds_are_a_window_too() -> None:
    made, x = module(POOL, "numpy"), np.random.default_rng(0).normal(size=(2, 20_000))
    y, saved = made.pool_forward(x)
    leaf = torch.from_numpy(x).requires_grad_()
    wanted = functional.max_pool1d(leaf, 3, 2, 1)
    (gradient,) = torch.autograd.grad(wanted, leaf, torch.from_numpy(y))
    assert np.array_equal(y, wanted.detach()) and np.allclose(made.pool_backward(y, *saved, x), gradient)
    for call in (lambda: made.pool_forward(x), lambda: made.pool_backward(y, *saved, x)):
        tracemalloc.start()
        call()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 12 * x.nbytes  # a mask would have 20,000 entries for each


def test_torch_maps_and_exports_a_convolution() -> None:
    made, (x, W, b) = module(CONV1D, "torch").conv, normal((2, 3, 8), (4, 3, 3), (4, 8))
    wanted = torch.stack([made(x, w, b, 1, 1) for w in (W, 2 * W)])
    mapped = torch.vmap(lambda w: made(x, w, b, 1, 1))(torch.stack([W, 2 * W]))
    torch.testing.assert_close(mapped, wanted)
    gradient = torch.func.vmap(torch.func.grad(lambda w: made(x, w, b, 1, 1).square().sum()))(torch.stack([W, 2 * W]))
    assert gradient.shape == (2, 4, 3, 3)

    class Module(torch.nn.Module):
        def forward(self, x: Any) -> Any:
            return made(x, W, b, 1, 1)

    exported = torch.export.export(Module(), (x,)).module()
    torch.testing.assert_close(exported(x), wanted[0])


def test_constants_of_slices_are_whole_numbers() -> None:
    made, inputs = module(CONV1D, "numpy"), [t.numpy() for t in normal((1, 1, 4), (1, 1, 2), (1, 4))]
    np.testing.assert_array_equal(made.conv_forward(*inputs, 1.0)[0], made.conv_forward(*inputs)[0])
    with pytest.raises(ValueError, match="pad is compared with positions and must be a whole number, not 0.5"):
        made.conv_forward(*inputs, pad=0.5)
    with pytest.raises(ValueError, match="a window moves by a step of at least 1, not 0"):
        made.conv_forward(*inputs, stride=0)
    for wrong in ({"stride": 0}, {"pad": 0.5}):
        with pytest.raises(ValueError, match="must be a whole number, and a step at least 1"):
            module(CONV1D, "native").conv_forward(*inputs, **wrong)


@pytest.mark.parametrize("shape", [(3, 9, 5), (1, 4, 1), (2, 1, 3), (2, 7, 0), (0, 7, 2)], ids=str)
def test_windows_along_an_axis_that_others_follow(shape: tuple[int, int, int]) -> None:
    """In C the innermost loop runs along the last axis, in both directions, and along others where nothing else is shared."""
    (x,) = normal(shape)
    sums = """
        y[n, i, c] = channels_last(x[n, i, c], w[k, c])
        y[n, i, c] = sum[k](x[n, i + k - 1, c]*w[k, c])
    """
    largest = """
        y[i, c] = alone_last(x[i, c], w[k])
        y[i, c] = max[k](x[i + k - 1, c])*sum[k](w[k])
    """
    padded = functools.partial(functional.pad, pad=(0, 0, 1, 1))
    judge(sums, "native", lambda x, w: (padded(x).unfold(1, 3, 1) * w.T).sum(-1), [x, *normal((3, shape[2]))])
    if shape[0] and shape[2]:
        alone = functools.partial(functional.pad, pad=(0, 0, 1, 1), value=-torch.inf)
        judge(largest, "native", lambda x, w: alone(x).unfold(0, 3, 1).amax(-1) * w.sum(), [x[0], *normal((3,))])
