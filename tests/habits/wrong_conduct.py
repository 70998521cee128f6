"""Wrong backwards: the right numbers, in another dtype, or at the cost of their arguments. NumPy."""

from __future__ import annotations

import numpy as np

from tests.habits import wrong

# ---- dtype ----------------------------------------------------------------------------------------------------------------


@wrong("tanh", "dtype", "float64 where the arguments are float32")
def always_double(dy, y):
    return dy.astype(np.float64) * (1 - y**2)


@wrong("tanh", "dtype", "float32 where the arguments are float64")
def always_single(dy, y):
    return (dy * (1 - y * y)).astype(np.float32)


@wrong("softmax_cross_entropy", "dtype", "float64 where the arguments are float32")
def one_hot_in_double(dloss, p, t):
    return (p - np.eye(p.shape[1])[t]) * dloss / len(t)


@wrong("gelu", "dtype", "float64 where the arguments are float32")
def double_constant(dy, x, cdf):
    return dy * (cdf + x * np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi))


@wrong("attention", "dtype", "float64 where the arguments are float32")
def double_scale(do, q, k, v, P):
    dP = do @ np.swapaxes(v, -1, -2)
    dS = P * (dP - (dP * P).sum(-1, keepdims=True)) / np.sqrt(q.shape[-1])
    return dS @ k, np.swapaxes(dS, -1, -2) @ q, np.swapaxes(P, -1, -2) @ do


@wrong("embedding", "dtype", "float64 where the arguments are float32")
def double_zeros(dy, table, t):
    dtable = np.zeros(table.shape)
    np.add.at(dtable, t, dy)
    return dtable


@wrong("linear", "dtype", "float64 where the arguments are float32")
def double_ones(dy, x, W):
    lead = list(range(x.ndim - 1))
    db = np.tensordot(np.ones(dy.shape[:-1]), dy, (lead, lead))
    return dy @ W.T, np.tensordot(x, dy, (lead, lead)), db


@wrong("rmsnorm", "dtype", "float64 where the arguments are float32")
def double_accumulator(dy, x, rstd, gamma):
    g = dy * gamma
    dx = rstd[..., None] * g - x * (rstd**3 * (g * x).mean(-1, dtype=np.float64))[..., None]
    return {"dx": dx}


@wrong("relu", "dtype", "float32 where the arguments are float64")
def single_mask(dy, x):
    return dy.astype(np.float32) * (x > 0).astype(np.float32)


# ---- writes ----------------------------------------------------------------------------------------------------------------


@wrong("relu", "writes", "it writes to dy")
def relu_over_its_gradient(dy, x):
    dy[x <= 0] = 0
    return dy


@wrong("softmax_cross_entropy", "writes", "it writes to p")
def over_the_probabilities(dloss, p, t):
    p[np.arange(len(t)), t] -= 1
    return p * dloss / len(t)


@wrong("tanh", "writes", "it writes to dy")
def tanh_in_place(dy, y):
    dy *= 1 - y * y
    return dy


@wrong("softmax", "writes", "it writes to dp")
def softmax_in_place(dp, p):
    dp -= (dp * p).sum(-1, keepdims=True)
    return p * dp


@wrong("layernorm", "writes", "it writes to x")
def centred_in_place(dy, x, gamma, mu, rstd):
    x -= mu
    x *= rstd
    g = dy * gamma
    dx = rstd * (g - g.mean(-1, keepdims=True) - x * (g * x).mean(-1, keepdims=True))
    lead = tuple(range(x.ndim - 1))
    return dx, (dy * x).sum(lead), dy.sum(lead)


@wrong("batchnorm", "writes", "it writes to dy", axes=0)
def scaled_into_its_argument(dy, xhat, rstd, gamma):
    dgamma, dbeta = (dy * xhat).sum(0), dy.sum(0)
    np.multiply(dy, gamma, out=dy)
    return rstd * (dy - dy.mean(0) - xhat * (dy * xhat).mean(0)), dgamma, dbeta


@wrong("embedding", "writes", "it writes to table")
def added_into_the_table(dy, table, t):
    table[...] = 0
    np.add.at(table, t, dy)
    return table


@wrong("sigmoid", "writes", "it writes to y")
def over_the_output(dy, y):
    np.subtract(1, y, out=y)
    return dy * y * (1 - y)


@wrong("silu", "writes", "it writes to x")
def over_the_input(dy, x, g):
    x *= 1 - g
    x += 1
    return dy * g * x


# ---- memory ----------------------------------------------------------------------------------------------------------------


@wrong("tanh", "memory", "")
def in_the_order_of_memory(dy, y):
    flat = dy.ravel(order="K") * (1 - y.ravel(order="C") ** 2)
    return flat.reshape(dy.shape)


@wrong("relu", "memory", "dy")
def reshaped_in_place(dy, x):
    shape = x.shape
    flat = dy.view()
    flat.shape = (-1,)
    return (flat * (x.ravel() > 0)).reshape(shape)


@wrong("sigmoid", "memory", "")
def from_a_buffer(dy, y):
    up = np.frombuffer(memoryview(dy), dtype=dy.dtype).reshape(dy.shape)
    return up * y * (1 - y)


@wrong("softmax", "memory", "")
def rows_by_their_stride(dp, p):
    shape = (dp.size // dp.shape[-1], dp.shape[-1])
    width = dp.itemsize
    rows = np.lib.stride_tricks.as_strided(dp, shape, (shape[1] * width, width))
    flat = p.reshape(shape)
    return (flat * (rows - (rows * flat).sum(1, keepdims=True))).reshape(p.shape)
