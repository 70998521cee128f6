"""The ops of the catalogue that a text may call, as plain definitions on whole arrays of dual numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.systems.dual import Dual, constant, order, share
from tests.systems.functions import call
from tests.systems.language import SIGNATURES

Array = np.ndarray[Any, Any]


def _each(function: Callable[[Any], Dual], x: Array) -> Array:
    x = np.asarray(x, dtype=object)  # NumPy takes an array of no axes for its element
    out = np.empty(x.shape, dtype=object)
    for k in np.ndindex(x.shape):
        out[k] = function(x[k])
    return out


def _apply(head: str, x: Array) -> Array:
    return _each(lambda v: call(head, v), x)


def _number(value: float, like: Array) -> Dual:
    return constant(value, len(np.asarray(like, dtype=object).flat[0].slopes))


def _sum(x: Array, axis: int | tuple[int, ...] = -1) -> Array:
    """A sum that keeps its axes, of length 1."""
    return np.asarray(np.add.reduce(x, axis=axis, keepdims=True), dtype=object)


def _mean(x: Array, axis: int | tuple[int, ...] = -1) -> Array:
    total = _sum(x, axis)
    return np.asarray(total / _number(float(x.size // total.size), x), dtype=object)


def _max(x: Array) -> Array:
    rows = x.reshape(-1, x.shape[-1])
    out = np.empty((len(rows), 1), dtype=object)
    for k, row in enumerate(rows):
        out[k, 0] = share(list(row), 1)
    return out.reshape(*x.shape[:-1], 1)


def _power(x: Array, exponent: float) -> Array:
    return _each(lambda v: v.power(exponent), x)


def _shifted(z: Array) -> Array:
    """``exp(z - m)`` with a shift that counts as a number: ratios do not depend on it."""
    top = _each(
        lambda v: _number(v.value, z), np.asarray([[max(r, key=lambda v: v.value)] for r in z.reshape(-1, z.shape[-1])])
    )
    return _apply("exp", z - top.reshape(*z.shape[:-1], 1))


def softmax(z: Array) -> Array:
    e = _shifted(z)
    return e / _sum(e)


def log_softmax(z: Array) -> Array:
    return _apply("log", softmax(z))


def sigmoid(x: Array) -> Array:
    one = _number(1.0, x)
    return _each(lambda v: one / (one + call("exp", -v)), x)


def relu(x: Array) -> Array:
    zero = _number(0.0, x)
    return _each(lambda v: v if order(v, zero) > 0 else zero, x)


def silu(x: Array) -> Array:
    return np.asarray(x * sigmoid(x), dtype=object)


def gelu(x: Array) -> Array:
    one, half, scale = _number(1.0, x), _number(0.5, x), _number(math.sqrt(0.5), x)
    return _each(lambda v: v * (one + call("erf", v * scale)) * half, x)


def lstm_cell(i: Array, f: Array, g: Array, prev: Array) -> Array:
    return np.asarray(sigmoid(f) * prev + sigmoid(i) * tanh(g), dtype=object)


def tanh(x: Array) -> Array:
    return _apply("tanh", x)


def layernorm(x: Array, gamma: Array, beta: Array, eps: float = 1e-5) -> Array:
    c = x - _mean(x)
    return np.asarray(gamma * c * _power(_mean(c * c) + _number(eps, x), -0.5) + beta, dtype=object)


def rmsnorm(x: Array, gamma: Array, eps: float = 1e-6) -> Array:
    return gamma * x * _power(_mean(x * x) + _number(eps, x), -0.5)


def batchnorm(x: Array, gamma: Array, beta: Array, eps: float = 1e-5, ddof: float = 0.0) -> Array:
    axes = (0, *range(2, x.ndim))
    shape = (-1, *(1 for _ in axes[1:]))
    c = x - _mean(x, axes)
    rows = x.size / x.shape[1]
    var = _sum(c * c, axes) / _number(rows - ddof, x)
    return np.asarray(gamma.reshape(shape) * c * _power(var + _number(eps, x), -0.5) + beta.reshape(shape), dtype=object)


def linear(x: Array, W: Array, b: Array) -> Array:
    return np.asarray(matmul(x[..., None, :], W)[..., 0, :] + b, dtype=object)


def matmul(a: Array, b: Array) -> Array:
    """Products of the last two axes."""
    return np.asarray(_sum(np.expand_dims(a, -1) * np.expand_dims(b, -3), -2)[..., 0, :], dtype=object)


def attention(q: Array, k: Array, v: Array) -> Array:
    scores = matmul(q, np.swapaxes(k, -1, -2)) / _number(math.sqrt(q.shape[-1]), q)
    return matmul(softmax(scores), v)


def embedding(table: Array, t: Array) -> Array:
    out: Array = np.empty((*t.shape, table.shape[1]), dtype=object)
    for k in np.ndindex(t.shape):
        out[k] = table[int(t[k])]
    return out


def softmax_cross_entropy(z: Array, t: Array) -> Array:
    p = log_softmax(z)
    picked = np.asarray([p[n, int(c)] for n, c in enumerate(t)], dtype=object)
    return np.asarray(-_mean(picked)[0], dtype=object)


#: What each op of the catalogue computes.
FUNCTIONS: dict[str, Callable[..., Array]] = {name: globals()[name] for name in SIGNATURES}
