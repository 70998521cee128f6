"""Causal attention in C beside the same without a mask, on one thread: ``python -m tests.benchmarks.masked``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from tests.benchmarks.windows import milliseconds
from tests.judged import module

ATTENTION = """
    o[*s, i, d] = {name}(q[*s, i, f], k[*s, j, f], v[*s, j, d])
    s_[*s, i, j] = sum[f](q[*s, i, f]*k[*s, j, f])
    a[*s, i, j] = {weight}
    p[*s, i, j] = a[*s, i, j]/sum[j](a[*s, i, j])
    o[*s, i, d] = sum[j](p[*s, i, j]*v[*s, j, d])
"""
SHAPES = [(8, 1024, 64), (2, 2048, 128)]


def calls(name: str, weight: str, shape: tuple[int, int, int]) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """The forward and the backward of attention with such weights."""
    made = module(ATTENTION.format(name=name, weight=weight), "native")
    q, k, v, do = (torch.randn(shape).numpy() for _ in range(4))
    forward, backward = getattr(made, f"{name}_forward"), getattr(made, f"{name}_backward")
    _, saved = forward(q, k, v)
    return lambda: forward(q, k, v), lambda: backward(do, *saved, q, k, v)


if __name__ == "__main__":
    torch.set_num_threads(1)
    print("shape             pass      unmasked, ms  causal, ms  ratio")
    for shape in SHAPES:
        plain = calls("attention", "exp(s_[*s, i, j])", shape)
        causal = calls("causal", "where(j <= i, exp(s_[*s, i, j]), 0)", shape)
        for label, whole, half in zip(("forward", "backward"), plain, causal, strict=True):
            one, other = milliseconds(whole), milliseconds(half)
            print(f"{shape!s:17} {label:9} {one:12.2f} {other:11.2f} {other / one:6.2f}")
