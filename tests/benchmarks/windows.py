"""Convolutions and pooling in C beside torch's own, on one thread: ``python -m tests.benchmarks.windows``."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional

from tests.judged import module

CONV = """
    y[n, o, i, j] = conv(x[n, c, i, j], W[o, c, p, q], pad=1)
    y[n, o, i, j] = sum[c, p, q](x[n, c, i + p - pad, j + q - pad]*W[o, c, p, q])
"""
DEPTHWISE = """
    y[n, c, i] = depthwise(x[n, c, i], W[c, k])
    y[n, c, i] = sum[k](x[n, c, i - k]*W[c, k])
"""
POOL = """
    y[n, c, i] = pool(x[n, c, l], kernel=3, pad=1)
    size(k) = kernel
    size(i) = size(l) + 2*pad - kernel + 1
    y[n, c, i] = max[k](x[n, c, i + k - pad])
"""


def milliseconds(call: Callable[[], Any]) -> float:
    """The shortest of a few calls."""
    call()
    found = []
    for _ in range(7):
        start = time.perf_counter()
        call()
        found.append(time.perf_counter() - start)
    return 1e3 * min(found)


def gradients(
    dy: torch.Tensor, x: torch.Tensor, W: torch.Tensor, padding: list[int], groups: int = 1
) -> tuple[torch.Tensor, ...]:
    """torch's own gradients of a convolution."""
    one, none = [1] * len(padding), [0] * len(padding)
    wanted = [True, True, False]
    return torch.ops.aten.convolution_backward(dy, x, W, None, one, padding, one, False, none, groups, wanted)  # type: ignore[no-any-return]


def rows() -> list[tuple[str, Callable[[], Any], Callable[[], Any]]]:
    """What is timed, ours and torch's."""
    x, W, dy = torch.randn(4, 32, 56, 56), torch.randn(32, 32, 3, 3), torch.randn(4, 32, 56, 56)
    u, V, du = torch.randn(8, 256, 2048), torch.randn(256, 4), torch.randn(8, 256, 2048)
    a, b, da, p, q, dp = (t.numpy() for t in (x, W, dy, u, V, du))
    conv, depthwise, pool = (module(op, "native") for op in (CONV, DEPTHWISE, POOL))
    wide, flipped = functional.pad(u, (3, 0)), V.flip(1)[:, None].contiguous()
    leaf = u.clone().requires_grad_()

    def pooled() -> Any:
        return torch.autograd.grad(functional.max_pool1d(leaf, 3, 1, 1), leaf, du)

    def pool_both() -> Any:
        _, saved = pool.pool_forward(p)
        return pool.pool_backward(dp, *saved, p)

    return [
        ("3x3 convolution", lambda: conv.conv_forward(a, b), lambda: functional.conv2d(x, W, padding=1)),
        ("its gradients", lambda: conv.conv_backward(da, a, b), lambda: gradients(dy, x, W, [1, 1])),
        ("depthwise", lambda: depthwise.depthwise_forward(p, q), lambda: functional.conv1d(wide, flipped, groups=256)),
        (
            "its gradients",
            lambda: depthwise.depthwise_backward(dp, p, q),
            lambda: gradients(du, wide, flipped, [0], 256),
        ),
        ("max-pooling", lambda: pool.pool_forward(p), lambda: functional.max_pool1d(u, 3, 1, 1)),
        ("forward and gradient", pool_both, pooled),
    ]


if __name__ == "__main__":
    torch.set_num_threads(1)
    print("op                      ours, ms  torch, ms  ratio")
    for name, ours, theirs in rows():
        mine, other = milliseconds(ours), milliseconds(theirs)
        print(f"{name:22} {mine:9.2f} {other:10.2f} {mine / other:6.2f}")
