"""Wrong backwards: entries in the wrong place, or for some numbers of axes alone. NumPy."""

from __future__ import annotations

import math

import numpy as np

from tests.habits import wrong

# ---- layout: the right numbers in the wrong place -------------------------------------------------------------------------


@wrong("linear", "value", "dW is transposed", axes=1)
def weights_transposed(dy, x, W):
    return dy @ W.T, dy.T @ x, dy.sum(0)


@wrong("linear", "value", "dW", axes=1)
def weights_reshaped(dy, x, W):
    return dy @ W.T, (dy.T @ x).reshape(W.shape), dy.sum(0)


@wrong("linear", "raises", "with dy (3, 2), W (4, 2)")
def as_if_out_by_in(dy, x, W):
    return dy @ W, dy.T @ x, dy.sum(0)


@wrong("linear", "raises", "dy", layout=("W[h, k]",), axes=1)
def declared_and_not_done(dy, x, W):
    return dy @ W.T, dy.T @ x, dy.sum(0)


@wrong("softmax", "value", "")
def over_the_first_axis(dp, p):
    return p * (dp - (dp * p).sum(axis=0, keepdims=True))


@wrong("layernorm", "value", "")
def normalized_over_rows(dy, x, gamma, eps):
    mu, var = x.mean(0, keepdims=True), x.var(0, keepdims=True)
    rstd = 1 / np.sqrt(var + eps)
    xhat = (x - mu) * rstd
    g = dy * gamma
    dx = rstd * (g - g.mean(0, keepdims=True) - xhat * (g * xhat).mean(0, keepdims=True))
    lead = tuple(range(x.ndim - 1))
    return dx, (dy * xhat).sum(lead), dy.sum(lead)


@wrong("attention", "value", "dk")
def keys_transposed(do, q, k, v, P):
    dv = np.swapaxes(P, -1, -2) @ do
    dP = do @ np.swapaxes(v, -1, -2)
    dS = P * (dP - (dP * P).sum(-1, keepdims=True)) / math.sqrt(q.shape[-1])
    dk = np.swapaxes(q, -1, -2) @ dS
    return dS @ k, dk, dv


@wrong("attention", "value", "dk")
def keys_reshaped(do, q, k, v, P):
    dv = np.swapaxes(P, -1, -2) @ do
    dP = do @ np.swapaxes(v, -1, -2)
    dS = P * (dP - (dP * P).sum(-1, keepdims=True)) / math.sqrt(q.shape[-1])
    return dS @ k, (np.swapaxes(q, -1, -2) @ dS).reshape(k.shape), dv


@wrong("batchnorm", "value", "")
def channels_taken_for_the_last_axis(dy, xhat, rstd, gamma):
    d = len(gamma)
    rows, hats = dy.reshape(-1, d), xhat.reshape(-1, d)
    dgamma, dbeta = (rows * hats).sum(0), rows.sum(0)
    dx = gamma * rstd * (rows - rows.mean(0) - hats * (rows * hats).mean(0))
    return dx.reshape(dy.shape), dgamma, dbeta


@wrong("embedding", "value", "dtable is transposed", axes=1)
def table_transposed(dy, table, t):
    dtable = np.zeros_like(table)
    np.add.at(dtable, t, dy)
    return dtable.T


@wrong("matmul", "value", "da")
def reshaped_for_transposed(dy, a, b):
    da = dy @ b.reshape(*b.shape[:-2], b.shape[-1], b.shape[-2])
    return da, np.swapaxes(a, -1, -2) @ dy


@wrong("softmax_cross_entropy", "value", "dz")
def labels_of_a_flat_array(dloss, p, t):
    dz = p.ravel().copy()
    dz[t] -= 1
    return dz.reshape(p.shape) * dloss / len(t)


@wrong("layernorm", "value", "dgamma")
def summed_over_the_last_axis(dy, xhat, rstd, gamma):
    g = dy * gamma
    dx = rstd[..., None] * (g - g.mean(-1, keepdims=True) - xhat * (g * xhat).mean(-1, keepdims=True))
    return {"dx": dx, "dgamma": (dy * xhat).sum(-1)}


@wrong("matmul", "value", "db")
def gradients_exchanged(dy, a, b):
    da = dy @ np.swapaxes(b, -1, -2)
    db = np.swapaxes(np.swapaxes(a, -1, -2) @ dy, -1, -2)
    return da, db


# ---- ranks: right for rows, and not for batches of rows -------------------------------------------------------------------


@wrong("layernorm", "value", "right with *s as one axis, and wrong with two")
def gamma_summed_over_one_axis(dy, xhat, rstd, gamma):
    g = dy * gamma
    dx = rstd[..., None] * (g - g.mean(-1, keepdims=True) - xhat * (g * xhat).mean(-1, keepdims=True))
    return dx, (dy * xhat).sum(0), dy.sum(0)


@wrong("layernorm", "raises", "only with *s as one axis")
def statistics_for_rows_alone(dy, xhat, rstd, gamma):
    d = dy.shape[-1]
    g = dy * gamma
    dx = rstd[:, None] * (g - g.mean(-1, keepdims=True) - xhat * (g * xhat).mean(-1, keepdims=True))
    return dx, (dy * xhat).reshape(-1, d).sum(0), dy.reshape(-1, d).sum(0)


@wrong("layernorm", "raises", "too many values to unpack")
def two_lengths(dy, x, gamma, eps):
    N, D = x.shape
    mu, var = x.mean(1, keepdims=True), x.var(1, keepdims=True)
    rstd = 1 / np.sqrt(var + eps)
    xhat = (x - mu) * rstd
    g = dy * gamma
    dx = rstd / D * (D * g - g.sum(1, keepdims=True) - xhat * (g * xhat).sum(1, keepdims=True))
    return dx, (dy * xhat).sum(0), dy.sum(0)


@wrong("softmax", "value", "right with *s as one axis, and wrong with two")
def axis_one(dp, p):
    return p * (dp - np.sum(dp * p, axis=1, keepdims=True))


@wrong("log_softmax", "value", "wrong with two")
def log_axis_one(dy, y):
    return dy - np.exp(y) * np.sum(dy, axis=1, keepdims=True)


@wrong("linear", "raises", "only with *s as one axis")
def transposed_as_a_matrix(dy, x, W):
    return dy @ W.T, x.T @ dy, dy.reshape(-1, dy.shape[-1]).sum(0)


@wrong("linear", "value", "db")
def bias_summed_over_one_axis(dy, x, W):
    lead = list(range(x.ndim - 1))
    return dy @ W.T, np.tensordot(x, dy, (lead, lead)), dy.sum(axis=0)


@wrong("embedding", "raises", "only with *s as one axis")
def one_label_at_a_time(dy, table, t):
    dtable = np.zeros_like(table)
    for k in range(len(t)):
        dtable[int(t[k])] += dy[k]
    return dtable


@wrong("rmsnorm", "value", "dgamma")
def rms_summed_over_one_axis(dy, x, rstd, gamma):
    g = dy * gamma
    dx = rstd[..., None] * g - x * (rstd**3 * (g * x).mean(-1))[..., None]
    dgamma = (dy * x * rstd[..., None]).sum(axis=0)
    return dx, dgamma


@wrong("rmsnorm", "value", "dx")
def rms_over_axis_one(dy, x, gamma, eps):
    rms = np.sqrt((x * x).mean(axis=1, keepdims=True) + eps)
    g, xhat = dy * gamma, x / rms
    dx = (g - xhat * (g * xhat).mean(axis=1, keepdims=True)) / rms
    return dx, (dy * xhat).reshape(-1, x.shape[-1]).sum(0)


@wrong("batchnorm", "value", "")
def rows_of_features_alone(dy, x, gamma, eps):
    c = x - x.mean(0)
    rstd = (np.mean(c**2, axis=0) + eps) ** -0.5
    xhat = c * rstd
    dgamma, dbeta = np.sum(dy * xhat, axis=0), np.sum(dy, axis=0)
    return rstd * (dy - dy.mean(0) - xhat * (dy * xhat).mean(0)), dgamma, dbeta


@wrong("batchnorm", "raises", "only with *s as one axis")
def signals_alone(dy, xhat, rstd, gamma):
    axes = (0, 2)
    dgamma, dbeta = (dy * xhat).sum(axes), dy.sum(axes)
    n = dy.shape[0] * dy.shape[2]
    inner = dy - (dbeta / n)[:, None] - xhat * (dgamma / n)[:, None]
    return (gamma * rstd)[:, None] * inner, dgamma, dbeta


@wrong("batchnorm", "value", "multiplied by size(s)", axes=(0, 1, 2))
def counts_rows_alone(dy, xhat, rstd, gamma):
    axes = (0, *range(2, dy.ndim))
    shape = (-1,) + (1,) * (dy.ndim - 2)
    dgamma, dbeta = (dy * xhat).sum(axes), dy.sum(axes)
    n = len(dy)
    inner = dy - (dbeta / n).reshape(shape) - xhat * (dgamma / n).reshape(shape)
    return (gamma * rstd).reshape(shape) * inner, dgamma, dbeta


@wrong("attention", "raises", "only with *s as one axis")
def one_batch_axis(do, q, k, v, P):
    dv = np.einsum("bij,bid->bjd", P, do)
    dP = np.einsum("bid,bjd->bij", do, v)
    dS = P * (dP - (P * dP).sum(-1, keepdims=True)) / math.sqrt(q.shape[-1])
    return np.einsum("bij,bjf->bif", dS, k), np.einsum("bij,bif->bjf", dS, q), dv


@wrong("softmax", "raises", "")
def a_single_vector(dp, p):
    return (np.diag(p) - np.outer(p, p)) @ dp


@wrong("layernorm", "value", "")
def length_of_axis_one(dy, xhat, rstd, gamma):
    d, g = dy.shape[1], dy * gamma
    inner = d * g - g.sum(-1, keepdims=True) - xhat * (g * xhat).sum(-1, keepdims=True)
    lead = tuple(range(dy.ndim - 1))
    return rstd[..., None] / d * inner, (dy * xhat).sum(lead), dy.sum(lead)


# ---- sums that are forgotten, where statistics keep their axis --------------------------------------------------------------


@wrong("layernorm", "value", "")
def means_of_everything(dy, xhat, rstd, gamma):
    g = dy * gamma
    dx = rstd * (g - g.mean() - xhat * (g * xhat).mean())
    lead = tuple(range(dy.ndim - 1))
    return dx, (dy * xhat).sum(lead), dy.sum(lead)


@wrong("layernorm", "value", "dx")
def no_row_sum(dy, xhat, rstd, gamma):
    g = dy * gamma
    dx = rstd * (g - g.mean(-1, keepdims=True) - xhat * (g * xhat))
    lead = tuple(range(dy.ndim - 1))
    return dx, (dy * xhat).sum(lead), dy.sum(lead)


@wrong("layernorm", "value", "dx")
def no_row_mean(dy, x, mu, rstd, gamma):
    xhat = (x - mu) * rstd
    g = dy * gamma
    dx = rstd * (g - g / x.shape[-1] - xhat * (g * xhat).mean(-1, keepdims=True))
    return {"dx": dx}


@wrong("rmsnorm", "value", "dx")
def rms_without_its_sum(dy, x, rstd, gamma):
    g = dy * gamma
    return {"dx": rstd * g - rstd**3 * x * (g * x) / x.shape[-1]}


@wrong("rmsnorm", "value", "dx")
def rms_mean_of_everything(dy, x, rstd, gamma):
    g = dy * gamma
    return {"dx": rstd * g - rstd**3 * x * np.mean(g * x)}


@wrong("softmax", "value", "over c is missing")
def diagonal_alone(dp, p):
    return p * (dp - dp * p)


@wrong("softmax", "value", "")
def sum_of_everything(dp, p):
    return p * (dp - (dp * p).sum())


@wrong("log_softmax", "value", "over c is missing")
def log_without_its_sum(dy, y):
    return dy - np.exp(y) * dy


@wrong("batchnorm", "value", "dx", axes=0)
def centred_by_nothing(dy, xhat, rstd, gamma):
    n = len(dy)
    return {"dx": gamma * rstd * (dy - dy / n - xhat * (dy * xhat).mean(0, keepdims=True))}


@wrong("batchnorm", "value", "dgamma", axes=(0, 1, 2))
def gamma_kept_as_it_is(dy, x, mu, rstd, gamma):
    axes = (0, *range(2, dy.ndim))
    xhat = (x - mu) * rstd
    return {"dgamma": (dy * xhat).sum(axes, keepdims=True), "dbeta": dy.sum(axes)}


@wrong("linear", "value", "the values are right, and the shape is", axes=1)
def bias_with_its_axis(dy, x, W):
    return dy @ W.T, x.T @ dy, dy.sum(0, keepdims=True)


@wrong("linear", "value", "over s is missing", axes=1)
def bias_not_summed(dy, x, W):
    db = dy
    return dy @ W.T, x.T @ dy, db


@wrong("attention", "value", "dq")
def attention_without_row_sums(do, q, k, v, P):
    dP = do @ np.swapaxes(v, -1, -2)
    dS = P * (dP - dP * P) / math.sqrt(q.shape[-1])
    return dS @ k, np.swapaxes(dS, -1, -2) @ q, np.swapaxes(P, -1, -2) @ do


@wrong("softmax_cross_entropy", "value", "divisor")
def not_averaged(dloss, p, t):
    dz = p.copy()
    dz[np.arange(len(t)), t] -= 1
    return dz * dloss
