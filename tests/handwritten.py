"""Code as repositories and courses have it, with its own names: right versions, and each with one thing broken."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CODES", "Code"]


@dataclass(frozen=True)
class Code:
    """A file's source, the op that it is of, and replacements of which each breaks it."""

    name: str
    op: str
    source: str
    broken: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        return self.name


CODES = (
    Code(
        "matmul",
        "matmul",
        """
import numpy as np

def matmul_backward(dout, x, w):
    dx = dout @ w.T
    dw = x.T @ dout
    return dx, dw
""",
        (("x.T @ dout", "2 * x.T @ dout"), ("dout @ w.T", "-dout @ w.T")),
    ),
    Code(
        "linear with a bias",
        "linear",
        """
import numpy as np

def affine_backward(dout, cache):
    x, w, b = cache
    dx = np.dot(dout, w.T)
    dw = np.dot(x.reshape(-1, x.shape[-1]).T, dout.reshape(-1, dout.shape[-1]))
    db = np.sum(dout.reshape(-1, dout.shape[-1]), axis=0)
    return dx, dw, db
""",
        (("np.sum(dout.resh", "np.mean(dout.resh"), ("np.dot(dout, w.T)", "np.dot(dout, w.T) * 2")),
    ),
    Code(
        "batch norm, cache without its forward",
        "batchnorm",
        """
import numpy as np

def batchnorm_backward(dout, cache):
    x, gamma, xhat, mean, var, eps = cache
    N, D = dout.shape
    dbeta = dout.sum(axis=0)
    dgamma = (dout * xhat).sum(axis=0)
    dxhat = dout * gamma
    dvar = (dxhat * (x - mean) * -0.5 * (var + eps) ** -1.5).sum(axis=0)
    dmean = (dxhat * -1 / np.sqrt(var + eps)).sum(axis=0) + dvar * (-2 * (x - mean)).mean(axis=0)
    dx = dxhat / np.sqrt(var + eps) + dvar * 2 * (x - mean) / N + dmean / N
    return dx, dgamma, dbeta
""",
        (("** -1.5", "** -0.5"), ("+ dmean / N", "+ dmean"), ("dvar * 2 *", "dvar *"), ("(dout * xhat)", "(dout * x)")),
    ),
    Code(
        "batch norm, closed form, cache of the forward",
        "batchnorm",
        """
import numpy as np

def batchnorm_forward(x, gamma, beta, eps=1e-5):
    mu = x.mean(axis=0)
    xmu = x - mu
    var = (xmu ** 2).mean(axis=0)
    sqrtvar = np.sqrt(var + eps)
    ivar = 1.0 / sqrtvar
    xhat = xmu * ivar
    out = gamma * xhat + beta
    cache = (xhat, gamma, xmu, ivar, sqrtvar, var, eps)
    return out, cache

def batchnorm_backward(dout, cache):
    xhat, gamma, xmu, ivar, sqrtvar, var, eps = cache
    N, D = dout.shape
    dbeta = np.sum(dout, axis=0)
    dgamma = np.sum(dout * xhat, axis=0)
    dxhat = dout * gamma
    divar = np.sum(dxhat * xmu, axis=0)
    dxmu1 = dxhat * ivar
    dsqrtvar = -1.0 / (sqrtvar ** 2) * divar
    dvar = 0.5 * 1.0 / np.sqrt(var + eps) * dsqrtvar
    dsq = 1.0 / N * np.ones_like(dout) * dvar
    dxmu2 = 2 * xmu * dsq
    dx1 = dxmu1 + dxmu2
    dmu = -1 * np.sum(dxmu1 + dxmu2, axis=0)
    dx2 = 1.0 / N * np.ones_like(dout) * dmu
    dx = dx1 + dx2
    return dx, dgamma, dbeta
""",
        (("dx = dx1 + dx2", "dx = dx1"), ("2 * xmu * dsq", "xmu * dsq"), ("-1.0 / (sqrtvar ** 2)", "-1.0 / sqrtvar")),
    ),
    Code(
        "batch norm with Bessel's correction",
        "batchnorm",
        """
import numpy as np

def bn_forward(x, gamma, beta, eps=1e-5):
    n = x.shape[0]
    mean = x.sum(0) / n
    diff = x - mean
    var = (diff ** 2).sum(0) / (n - 1)
    invstd = (var + eps) ** -0.5
    xhat = diff * invstd
    return gamma * xhat + beta, (xhat, invstd, gamma)

def bn_backward(dout, cache):
    xhat, invstd, gamma = cache
    n = dout.shape[0]
    dgamma = (dout * xhat).sum(0)
    dbeta = dout.sum(0)
    dx = gamma * invstd / n * (n * dout - dbeta - n / (n - 1) * xhat * dgamma)
    return dx, dgamma, dbeta
""",
        (("n / (n - 1) * xhat", "xhat"), ("- dbeta", "+ dbeta")),
    ),
    Code(
        "batch norm of a course: the mode in a dict, its own eps",
        "batchnorm",
        """
import numpy as np

def batchnorm_forward(x, gamma, beta, bn_param):
    mode = bn_param["mode"]
    eps = bn_param.get("eps", 1e-5)
    assert mode == "train"
    mean, var = x.mean(0), x.var(0)
    x_hat = (x - mean) / np.sqrt(var + eps)
    out = gamma * x_hat + beta
    cache = {"x_hat": x_hat, "std": np.sqrt(var + eps), "gamma": gamma}
    return out, cache

def batchnorm_backward(dout, cache):
    x_hat, std, gamma = cache["x_hat"], cache["std"], cache["gamma"]
    N = dout.shape[0]
    dgamma = np.sum(x_hat * dout, axis=0)
    dbeta = np.sum(dout, axis=0)
    dx_hat = dout * gamma
    dx = 1.0 / N / std * (N * dx_hat - dx_hat.sum(0) - x_hat * (dx_hat * x_hat).sum(0))
    return dx, dgamma, dbeta
""",
        (("N * dx_hat - dx_hat.sum(0)", "N * dx_hat"), ("1.0 / N / std", "1.0 / N * std")),
    ),
    Code(
        "batch norm in torch, from the input alone, unbiased",
        "batchnorm",
        """
import torch

def batchnorm_backward(grad_output, x, gamma, eps=1e-5):
    n = x.shape[0]
    mean = x.mean(0, keepdim=True)
    var = x.var(0, keepdim=True, unbiased=True)
    inv_std = (var + eps) ** -0.5
    x_hat = (x - mean) * inv_std
    grad_gamma = (grad_output * x_hat).sum(0)
    grad_beta = grad_output.sum(0)
    dx_hat = grad_output * gamma
    dvar = (dx_hat * (x - mean) * -0.5 * inv_std**3).sum(0, keepdim=True)
    dmean = (-dx_hat * inv_std).sum(0, keepdim=True)
    grad_x = dx_hat * inv_std + dvar * 2 * (x - mean) / (n - 1) + dmean / n
    return grad_x, grad_gamma, grad_beta
""",
        (("/ (n - 1)", "/ n"), ("inv_std**3", "inv_std"), ("(grad_output * x_hat)", "(grad_output * x)")),
    ),
    Code(
        "cross-entropy of logits",
        "softmax_cross_entropy",
        """
import numpy as np

def cross_entropy_backward(logits, targets):
    n = logits.shape[0]
    shifted = logits - logits.max(axis=1, keepdims=True)
    probs = np.exp(shifted)
    probs /= probs.sum(axis=1, keepdims=True)
    dlogits = probs.copy()
    dlogits[np.arange(n), targets] -= 1
    dlogits /= n
    return dlogits
""",
        (("    dlogits /= n\n", ""), ("-= 1", "+= 1"), ("probs.copy()", "shifted.copy()")),
    ),
    Code(
        "cross-entropy of probabilities",
        "softmax_cross_entropy",
        """
import numpy as np

def cross_entropy_backward(probs, y):
    grad = probs.copy()
    grad[range(len(y)), y] -= 1.0
    return grad / len(y)
""",
        (("/ len(y)", "* len(y)"), ("-= 1.0", "-= 0.5")),
    ),
    Code(
        "cross-entropy in torch, with a cache",
        "softmax_cross_entropy",
        """
import torch
import torch.nn.functional as F

def cross_entropy_forward(logits, targets):
    logprobs = F.log_softmax(logits, dim=1)
    loss = -logprobs[range(len(targets)), targets].mean()
    return loss, (logprobs, targets)

def cross_entropy_backward(cache):
    logprobs, targets = cache
    dlogits = logprobs.exp()
    dlogits[range(len(targets)), targets] -= 1
    return dlogits / len(targets)
""",
        (("logprobs.exp()", "logprobs.clone()"), (" / len(targets)\n", "\n")),
    ),
    Code(
        "tanh of its output",
        "tanh",
        """
import numpy as np

def tanh_backward(dout, h):
    return dout * (1 - h ** 2)
""",
        (("1 - h ** 2", "1 - h"), ("dout * ", "")),
    ),
    Code(
        "embedding",
        "embedding",
        """
import numpy as np

def embedding_backward(dout, weight, ix):
    dweight = np.zeros_like(weight)
    np.add.at(dweight, ix, dout)
    return dweight
""",
        (("np.add.at(dweight, ix, dout)", "dweight[ix] = dout"), ("np.add.at(dweight, ix, dout)", "dweight[ix] += dout")),
    ),
    Code(
        "layer norm",
        "layernorm",
        """
import numpy as np

def layernorm_forward(x, gamma, beta, eps=1e-5):
    mean = x.mean(-1, keepdims=True)
    std = np.sqrt(x.var(-1, keepdims=True) + eps)
    x_hat = (x - mean) / std
    return gamma * x_hat + beta, (x_hat, std, gamma)

def layernorm_backward(dout, cache):
    x_hat, std, gamma = cache
    axes = tuple(range(dout.ndim - 1))
    dx_hat = dout * gamma
    dx = (dx_hat - dx_hat.mean(-1, keepdims=True) - x_hat * (dx_hat * x_hat).mean(-1, keepdims=True)) / std
    return dx, (dout * x_hat).sum(axes), dout.sum(axes)
""",
        (("- dx_hat.mean(-1, keepdims=True)", ""), (") / std", ") * std")),
    ),
    Code(
        "softmax of its output",
        "softmax",
        """
import numpy as np

def softmax_backward(dout, s):
    return s * (dout - (dout * s).sum(axis=-1, keepdims=True))
""",
        (("(dout * s)", "dout"), ("s * (dout", "(dout")),
    ),
    Code(
        "cross-entropy, the loss' gradient given",
        "softmax_cross_entropy",
        """
import numpy as np

def loss_backward(dloss, probs, labels):
    n, c = probs.shape
    onehot = np.eye(c, dtype=probs.dtype)[labels]
    return dloss * (probs - onehot) / n
""",
        (("dloss * (probs", "(probs"), ("probs - onehot", "probs + onehot")),
    ),
)
