"""The ops in JAX, as its users would write them; their gradients come from ``jax.vjp`` inside ``jax.jit``."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np

from .cases import BACKWARD, STEP
from .problem import Problem

EPS = 1e-5
RATE = 1e-3


def installed() -> bool:
    """Whether there is JAX at all."""
    return importlib.util.find_spec("jax") is not None


def start() -> None:
    """Start JAX's own threads, which run where the calling thread may."""
    if installed():
        jax: Any = importlib.import_module("jax")

        jax.jit(lambda x: x @ x)(np.ones((8, 8), np.float32)).block_until_ready()


def has(op: str) -> bool:
    """Whether the op is written down here."""
    return op in _functions()


def side(problem: Problem) -> Callable[[], Any]:
    """A function that runs the case and waits for it."""
    jax: Any = importlib.import_module("jax")

    function = _functions()[problem.case.op]
    values = {name: jax.numpy.asarray(value) for name, value in problem.values.items()}
    labels = {n: values[n] for n in problem.inputs if n not in problem.wanted}
    wanted = tuple(values[n] for n in problem.wanted)

    def forward(*given: Any) -> Any:
        return function(**labels, **dict(zip(problem.wanted, given, strict=True)))

    if problem.case.what == STEP:
        return _step(jax, forward, wanted)
    upstream = values[problem.upstream]
    if problem.case.what == BACKWARD:
        _, pull = jax.vjp(forward, *wanted)
        backward = jax.jit(lambda p, d: p(d))
        return lambda: jax.block_until_ready(backward(pull, upstream))

    def both(given: Any, d: Any) -> Any:
        y, pull = jax.vjp(forward, *given)
        return y, *pull(d)

    compiled = jax.jit(both)
    return lambda: jax.block_until_ready(compiled(wanted, upstream))


def _step(jax: Any, forward: Callable[..., Any], parameters: tuple[Any, ...]) -> Callable[[], Any]:
    def step(given: tuple[Any, ...]) -> Any:
        loss, gradients = jax.value_and_grad(lambda p: forward(*p))(given)
        return loss, tuple(p - RATE * g for p, g in zip(given, gradients, strict=True))

    compiled, held = jax.jit(step), [parameters]

    def call() -> Any:
        loss, held[0] = jax.block_until_ready(compiled(held[0]))
        return loss, *held[0]

    return call


def _functions() -> dict[str, Callable[..., Any]]:
    jax: Any = importlib.import_module("jax")
    jnp = jax.numpy

    def batchnorm(x: Any, gamma: Any, beta: Any) -> Any:
        return gamma * (x - x.mean(0)) * jax.lax.rsqrt(x.var(0) + EPS) + beta

    def layernorm(x: Any, gamma: Any, beta: Any) -> Any:
        return gamma * (x - x.mean(-1, keepdims=True)) * jax.lax.rsqrt(x.var(-1, keepdims=True) + EPS) + beta

    def rmsnorm(x: Any, gamma: Any) -> Any:
        return gamma * x * jax.lax.rsqrt((x * x).mean(-1, keepdims=True) + 1e-6)

    def softmax_cross_entropy(z: Any, t: Any) -> Any:
        return -jnp.take_along_axis(jax.nn.log_softmax(z), t[:, None], 1).mean()

    def attention(q: Any, k: Any, v: Any) -> Any:
        return jax.nn.softmax(q @ jnp.swapaxes(k, -1, -2) / q.shape[-1] ** 0.5) @ v

    def mlp(x: Any, t: Any, C: Any, W1: Any, b1: Any, gamma: Any, beta: Any, W2: Any, b2: Any) -> Any:
        hpre = C[x].reshape(len(x), -1) @ W1.reshape(-1, W1.shape[-1]) + b1
        hbn = gamma * (hpre - hpre.mean(0)) * jax.lax.rsqrt(hpre.var(0, ddof=1) + EPS) + beta
        return softmax_cross_entropy(jnp.tanh(hbn) @ W2 + b2, t)

    def gelu(x: Any) -> Any:
        return jax.nn.gelu(x, approximate=False)

    unary = {"tanh": jnp.tanh, "gelu": gelu, "sigmoid": jax.nn.sigmoid, "silu": jax.nn.silu, "relu": jax.nn.relu}
    rows = {"softmax": jax.nn.softmax, "log_softmax": jax.nn.log_softmax}
    return {
        **{name: (lambda x, f=f: f(x)) for name, f in unary.items()},
        **{name: (lambda z, f=f: f(z)) for name, f in rows.items()},
        "batchnorm": batchnorm,
        "layernorm": layernorm,
        "rmsnorm": rmsnorm,
        "softmax_cross_entropy": softmax_cross_entropy,
        "attention": attention,
        "mlp": mlp,
        "linear": lambda x, W, b: x @ W + b,
        "matmul": lambda a, b: a @ b,
        "embedding": lambda table, t: table[t],
    }
