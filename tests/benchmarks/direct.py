"""torch's own ops called without autograd: what its gradients cost where nothing is recorded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from .cases import BACKWARD, BOTH

aten = torch.ops.aten
Call = Callable[[], Any]
Values = Mapping[str, Tensor]


def batchnorm(v: Values) -> Call:
    _, mean, rstd = aten.native_batch_norm(v["x"], v["gamma"], v["beta"], None, None, True, 0.0, 1e-5)
    rest = (None, None, mean, rstd, True, 1e-5, [True, True, True])
    return lambda: aten.native_batch_norm_backward(v["dy"], v["x"], v["gamma"], *rest)


def layernorm(v: Values) -> Call:
    shape = [v["x"].shape[-1]]
    _, mean, rstd = aten.native_layer_norm(v["x"], shape, v["gamma"], v["beta"], 1e-5)
    rest = (shape, mean, rstd, v["gamma"], v["beta"], [True, True, True])
    return lambda: aten.native_layer_norm_backward(v["dy"], v["x"], *rest)


def gelu(v: Values) -> Call:
    return lambda: aten.gelu_backward(v["dy"], v["x"])


def sigmoid(v: Values) -> Call:
    y = torch.sigmoid(v["x"])
    return lambda: aten.sigmoid_backward(v["dy"], y)


def silu(v: Values) -> Call:
    return lambda: aten.silu_backward(v["dy"], v["x"])


def relu(v: Values) -> Call:
    y = torch.relu(v["x"])
    return lambda: aten.threshold_backward(v["dy"], y, 0)


def softmax(v: Values) -> Call:
    p = torch.softmax(v["z"], -1)
    return lambda: aten._softmax_backward_data(v["dp"], p, -1, torch.float32)


def log_softmax(v: Values) -> Call:
    logp = torch.log_softmax(v["z"], -1)
    return lambda: aten._log_softmax_backward_data(v["dy"], logp, -1, torch.float32)


def linear(v: Values) -> Call:
    x, W, dy = v["x"], v["W"], v["dy"]
    return lambda: (dy @ W.T, x.T @ dy, dy.sum(0))


def matmul(v: Values) -> Call:
    a, b, dy = v["a"], v["b"], v["dy"]
    return lambda: (dy @ b.mT, a.mT @ dy)


def embedding(v: Values) -> Call:
    return lambda: aten.embedding_dense_backward(v["dy"], v["t"], v["table"].shape[0], -1, False)


def tanh_both(v: Values) -> Call:
    def call() -> tuple[Tensor, ...]:
        y = torch.tanh(v["x"])
        return y, aten.tanh_backward(v["dy"], y)

    return call


def softmax_cross_entropy_both(v: Values) -> Call:
    z, t, dloss = v["z"], v["t"], v["dloss"]

    def call() -> tuple[Tensor, ...]:
        logp = aten._log_softmax(z, 1, False)
        loss, total = aten.nll_loss_forward(logp, t, None, 1, -100)
        dlogp = aten.nll_loss_backward(dloss, logp, t, None, 1, -100, total)
        return loss, aten._log_softmax_backward_data(dlogp, logp, 1, torch.float32)

    return call


def attention_both(v: Values) -> Call:
    q, k, w, do = v["q"], v["k"], v["v"], v["do"]

    def call() -> tuple[Tensor, ...]:
        o, lse = aten._scaled_dot_product_flash_attention_for_cpu(q, k, w)
        return o, *aten._scaled_dot_product_flash_attention_for_cpu_backward(do, q, k, w, o, lse, 0.0, False)

    return call


#: By op and direction; an op that is not here has no such op in torch.
OPS: dict[tuple[str, str], Callable[[Values], Call]] = {
    **{(f.__name__, BACKWARD): f for f in (batchnorm, layernorm, gelu, sigmoid, silu, relu, softmax, log_softmax)},
    **{(f.__name__, BACKWARD): f for f in (linear, matmul, embedding)},
    ("tanh", BOTH): tanh_both,
    ("softmax_cross_entropy", BOTH): softmax_cross_entropy_both,
    ("attention", BOTH): attention_both,
}
