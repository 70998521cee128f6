"""Right backwards in NumPy, in the habits of courses, blogs and other people's code."""

from __future__ import annotations

import math

import numpy as np

from tests.habits import right

# ---- layernorm ---------------------------------------------------------------------------------------------------------


@right("layernorm")
def flat_statistics(dy, xhat, rstd, gamma):
    d = dy.shape[-1]
    dxhat = dy * gamma
    dx = rstd[..., None] * (dxhat - dxhat.mean(-1, keepdims=True) - xhat * (dxhat * xhat).mean(-1, keepdims=True))
    return dx, (dy * xhat).reshape(-1, d).sum(0), dy.reshape(-1, d).sum(0)


@right("layernorm")
def kept_statistics(dy, x, mu, rstd, gamma):
    xhat = (x - mu) * rstd
    leading = tuple(range(dy.ndim - 1))
    dgamma = np.sum(dy * xhat, axis=leading)
    dbeta = np.sum(dy, axis=leading)
    g = dy * gamma
    dx = (g - g.mean(axis=-1, keepdims=True) - xhat * (g * xhat).mean(axis=-1, keepdims=True)) * rstd
    return dx, dgamma, dbeta


@right("layernorm", axes=2)
def for_batches_of_rows(dy, x, gamma, mu, var, eps=1e-5):
    rstd = 1.0 / np.sqrt(var + eps)
    xhat = (x - mu) * rstd
    g = gamma * dy
    dx = rstd * (g - g.mean(2, keepdims=True) - xhat * (g * xhat).mean(2, keepdims=True))
    return dx, (dy * xhat).sum((0, 1)), dy.sum((0, 1))


@right("layernorm", names={"dout": "dy"}, axes=1, cache={"cache": ("xhat", "gamma", "rstd")})
def of_a_course(dout, cache):
    xhat, gamma, rstd = cache
    D = dout.shape[1]
    dbeta = dout.sum(axis=0)
    dgamma = np.sum(dout * xhat, axis=0)
    dxhat = dout * gamma
    dx = (rstd[:, None] / D) * (D * dxhat - dxhat.sum(axis=1)[:, None] - xhat * np.sum(dxhat * xhat, axis=1)[:, None])
    return dx, dgamma, dbeta


@right("layernorm")
def from_the_input_alone(dy, x, gamma, eps):
    c = x - x.mean(-1, keepdims=True)
    rstd = (np.square(c).mean(-1, keepdims=True) + eps) ** -0.5
    xhat = c * rstd
    return {
        "dgamma": np.add.reduce(dy * xhat, axis=tuple(range(dy.ndim - 1))),
        "dbeta": dy.sum(tuple(range(dy.ndim - 1))),
        "dx": rstd
        * (dy * gamma - np.mean(dy * gamma, -1, keepdims=True) - xhat * np.mean(dy * gamma * xhat, -1, keepdims=True)),
    }


@right("layernorm", layout=("gamma[1, d]", "beta[1, d]"), axes=1)
def parameters_as_rows(dy, xhat, rstd, gamma):
    dxhat = dy * gamma
    dx = rstd * (dxhat - dxhat.mean(1, keepdims=True) - xhat * (dxhat * xhat).mean(1, keepdims=True))
    return dx, (dy * xhat).sum(0, keepdims=True), dy.sum(0, keepdims=True)


# ---- rmsnorm -----------------------------------------------------------------------------------------------------------


@right("rmsnorm")
def rms_kept(dy, x, rstd, gamma):
    g = dy * gamma
    dx = rstd * g - x * rstd**3 * (g * x).mean(-1, keepdims=True)
    return dx, (dy * x * rstd).sum(axis=tuple(range(x.ndim - 1)))


@right("rmsnorm")
def rms_of_the_input(dy, x, gamma, eps=1e-6):
    rms = np.sqrt((x * x).mean(axis=-1, keepdims=True) + eps)
    xhat = x / rms
    dxhat = gamma * dy
    dx = (dxhat - xhat * np.mean(dxhat * xhat, axis=-1, keepdims=True)) / rms
    dgamma = np.sum((dy * xhat).reshape(-1, x.shape[-1]), axis=0)
    return dx, dgamma


# ---- batchnorm ---------------------------------------------------------------------------------------------------------


@right("batchnorm", axes=0, names={"ddof": "1", "dhpreact": "dy", "bnraw": "xhat", "bnvar_inv": "rstd", "bngain": "gamma"})
def of_the_lecture(dhpreact, bnraw, bnvar_inv, bngain):
    n = dhpreact.shape[0]
    dbngain = (bnraw * dhpreact).sum(0)
    dbnbias = dhpreact.sum(0)
    dhprebn = bngain * bnvar_inv / n * (n * dhpreact - dhpreact.sum(0) - n / (n - 1) * bnraw * (dhpreact * bnraw).sum(0))
    return dhprebn, dbngain, dbnbias


@right("batchnorm", axes=0, names={"dout": "dy"}, cache={"cache": ("x", "gamma", "mu", "var")})
def staged(dout, cache):
    x, gamma, mean, var = cache["x"], cache["gamma"], cache["mu"], cache["var"]
    N = x.shape[0]
    std = np.sqrt(var + 1e-5)
    dxhat = dout * gamma
    dvar = np.sum(dxhat * (x - mean) * -0.5 * std**-3, axis=0)
    dmean = np.sum(-dxhat / std, axis=0) + dvar * np.mean(-2 * (x - mean), axis=0)
    dx = dxhat / std + dvar * 2 * (x - mean) / N + dmean / N
    return dx, np.sum(dout * (x - mean) / std, axis=0), np.sum(dout, axis=0)


@right("batchnorm", axes=2)
def for_images(dy, x, gamma, mu, rstd):
    N, C, H, W = x.shape
    m = N * H * W
    xhat = (x - mu) * rstd
    dgamma = np.sum(dy * xhat, axis=(0, 2, 3), keepdims=True)
    dbeta = np.sum(dy, axis=(0, 2, 3), keepdims=True)
    dx = gamma.reshape(1, C, 1, 1) * rstd * (dy - dbeta / m - xhat * dgamma / m)
    return dx, dgamma.reshape(C), dbeta.reshape(C)


@right("batchnorm", axes=2)
def images_as_rows(dy, xhat, rstd, gamma):
    N, C, H, W = dy.shape
    rows = dy.transpose(0, 2, 3, 1).reshape(-1, C)
    hats = xhat.transpose(0, 2, 3, 1).reshape(-1, C)
    dgamma, dbeta = (rows * hats).sum(0), rows.sum(0)
    drows = gamma * rstd * (rows - rows.mean(0) - hats * (rows * hats).mean(0))
    return drows.reshape(N, H, W, C).transpose(0, 3, 1, 2), dgamma, dbeta


@right("batchnorm", layout=("x[n, *s, d]", "xhat[n, *s, d]", "y[n, *s, d]"))
def channels_last(dy, xhat, rstd, gamma):
    axes = tuple(range(dy.ndim - 1))
    dgamma, dbeta = (dy * xhat).sum(axes), dy.sum(axes)
    count = dy.size // dy.shape[-1]
    return gamma * rstd * (dy - dbeta / count - xhat * (dgamma / count)), dgamma, dbeta


@right("batchnorm")
def any_number_of_axes(dy, x, gamma, eps, ddof):
    axes = (0, *range(2, x.ndim))
    shape = [1, -1] + [1] * (x.ndim - 2)
    n = x.size // x.shape[1]
    c = x - x.mean(axes, keepdims=True)
    rstd = 1 / np.sqrt((c**2).sum(axes, keepdims=True) / (n - ddof) + eps)
    xhat = c * rstd
    dgamma, dbeta = (dy * xhat).sum(axes), dy.sum(axes)
    inner = dy - dbeta.reshape(shape) / n - xhat * dgamma.reshape(shape) / (n - ddof)
    return gamma.reshape(shape) * rstd * inner, dgamma, dbeta


# ---- softmax and its losses --------------------------------------------------------------------------------------------


@right("softmax")
def softmax_of_output(dp, p):
    return p * (dp - np.sum(dp * p, axis=-1, keepdims=True))


@right("softmax")
def softmax_in_place_of_a_copy(dp, p):
    dz = dp * p
    dz -= p * dz.sum(-1, keepdims=True)
    return dz


@right("softmax", axes=1)
def softmax_by_jacobians(dp, p):
    dz = np.empty_like(dp)
    for k, (row, up) in enumerate(zip(p, dp, strict=True)):
        row = row.reshape(-1, 1)
        dz[k] = (np.diagflat(row) - row @ row.T) @ up
    return dz


@right("softmax", axes=1, layout=("z[c, *s]", "p[c, *s]"))
def softmax_of_columns(dp, p):
    return p * (dp - (dp * p).sum(axis=0))


@right("softmax", names={"grad_output": "dp", "output": "p"})
def softmax_as_a_framework_names_it(grad_output, output):
    grad_input = grad_output * output
    return grad_input - output * grad_input.sum(axis=-1, keepdims=True)


@right("log_softmax")
def log_softmax_of_output(dy, y):
    return dy - np.exp(y) * dy.sum(axis=-1, keepdims=True)


@right("softmax_cross_entropy", names={"dloss": "1"})
def loss_at_the_end(p, t):
    m = t.shape[0]
    grad = p.copy()
    grad[range(m), t] -= 1
    return grad / m


@right("softmax_cross_entropy")
def from_logits(dloss, z, t):
    shifted = z - z.max(axis=1, keepdims=True)
    e = np.exp(shifted)
    dz = e / e.sum(axis=1, keepdims=True)
    dz[np.arange(z.shape[0]), t] -= 1.0
    dz *= dloss / z.shape[0]
    return dz


@right("softmax_cross_entropy")
def with_subtract_at(dloss, p, t):
    dz = p.copy()
    np.subtract.at(dz, (np.arange(len(t)), t), 1)
    return (dloss / len(t)) * dz


# ---- linear, matmul, attention, embedding --------------------------------------------------------------------------------


@right("linear", names={"dout": "dy"}, cache={"cache": ("x", "W", "b")})
def affine(dout, cache):
    x, W, b = cache
    rows = x.reshape(-1, W.shape[0])
    up = dout.reshape(-1, W.shape[1])
    dx = up.dot(W.T).reshape(x.shape)
    return dx, rows.T.dot(up), up.sum(axis=0)


@right("linear", layout=("W[h, k]",), axes=1)
def weights_as_out_by_in(dy, x, W):
    return dy @ W, dy.T @ x, dy.sum(0)


@right("linear")
def any_leading_axes(dy, x, W):
    dx = np.einsum("...h,kh->...k", dy, W)
    leading = list(range(x.ndim - 1))
    dW = np.tensordot(x, dy, axes=(leading, leading))
    db = dy.sum(axis=tuple(leading))
    return dx, dW, db


@right("linear", layout=("b[1, h]",), axes=1)
def bias_as_a_row(dy, x, W):
    return dy @ W.T, x.T @ dy, np.sum(dy, axis=0, keepdims=True)


@right("linear", layout=("x[k, *s]", "y[h, *s]", "W[h, k]", "b[h, 1]"), axes=1)
def columns_as_examples(dy, x, W):
    dW = np.dot(dy, x.T)
    db = np.sum(dy, axis=1, keepdims=True)
    dx = np.dot(W.T, dy)
    return {"dx": dx, "dW": dW, "db": db}


@right("matmul")
def matmul_of_batches(dy, a, b):
    return dy @ np.swapaxes(b, -1, -2), np.swapaxes(a, -1, -2) @ dy


@right("attention")
def attention_by_its_output(do, q, k, v, P, o):
    scale = 1.0 / math.sqrt(q.shape[-1])
    dv = np.swapaxes(P, -1, -2) @ do
    dP = do @ np.swapaxes(v, -1, -2)
    delta = (do * o).sum(-1, keepdims=True)
    dS = P * (dP - delta) * scale
    return dS @ k, np.swapaxes(dS, -1, -2) @ q, dv


@right("attention", layout=("k[*s, f, j]",))
def keys_as_columns(do, q, k, v, P):
    dv = np.einsum("...ij,...id->...jd", P, do)
    dP = np.einsum("...id,...jd->...ij", do, v)
    dS = P * (dP - np.einsum("...ij,...ij->...i", P, dP)[..., None]) * q.shape[-1] ** -0.5
    return np.einsum("...ij,...fj->...if", dS, k), np.einsum("...if,...ij->...fj", q, dS), dv


@right("embedding")
def add_at(dy, table, t):
    dtable = np.zeros_like(table)
    np.add.at(dtable, t, dy)
    return dtable


@right("embedding")
def add_rows(dy, table, t):
    dtable = np.zeros_like(table)
    for label, row in zip(t.ravel(), dy.reshape(-1, dy.shape[-1]), strict=True):
        dtable[label] += row
    return dtable


# ---- elementwise -------------------------------------------------------------------------------------------------------


@right("tanh")
def tanh_of_output(dy, y):
    return (1 - y * y) * dy


@right("tanh", names={"dh": "dy", "h": "y"})
def tanh_of_the_lecture(dh, h):
    return (1.0 - h**2) * dh


@right("sigmoid")
def sigmoid_of_output(dy, y):
    return dy * y * (1.0 - y)


@right("silu")
def swish(dy, x):
    s = 0.5 * (1 + np.tanh(0.5 * x))
    return dy * (s + x * s * (1 - s))


@right("gelu")
def gelu_of_cdf(dy, x, cdf):
    pdf = np.exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi)
    return dy * (cdf + x * pdf)


@right("relu")
def relu_by_a_copy(dy, x):
    dx = np.array(dy, copy=True)
    dx[x <= 0] = 0
    return dx


@right("relu")
def relu_with_one_at_zero(dy, x):
    return np.where(x >= 0, dy, 0)


@right("y[n] = peak(x[n, c])\ny[n] = max[c](x[n, c])")
def first_of_equal_maxima(dy, x):
    dx = np.zeros_like(x)
    dx[np.arange(len(x)), x.argmax(axis=1)] = dy
    return dx


@right("y[n] = span(x[n])\ny[n] = abs(x[n])")
def abs_with_one_at_zero(dy, x):
    return np.where(x < 0, -dy, dy)


# ---- the network of the lectures -----------------------------------------------------------------------------------------


@right("makemore", names={"dloss": "1", "bnraw_": "bnraw"})
def network_of_the_lecture(x, t, C, W1, W2, embcat, emb, h, probs, bnraw, bnvar_inv, bngain):
    n = len(t)
    dlogits = probs.copy()
    dlogits[range(n), t] -= 1
    dlogits /= n
    dh = dlogits @ W2.T
    dW2 = h.T @ dlogits
    db2 = dlogits.sum(0)
    dhpreact = (1.0 - h**2) * dh
    dbngain = (bnraw * dhpreact).sum(0)
    dbnbias = dhpreact.sum(0)
    dhprebn = bngain * bnvar_inv / n * (n * dhpreact - dbnbias - n / (n - 1) * bnraw * dbngain)
    dembcat = dhprebn @ W1.T
    dW1 = embcat.T @ dhprebn
    db1 = dhprebn.sum(0)
    demb = dembcat.reshape(emb.shape)
    dC = np.zeros_like(C)
    np.add.at(dC, x, demb)
    return dC, dW1, db1, dbngain, dbnbias, dW2, db2
