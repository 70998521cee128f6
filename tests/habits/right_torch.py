"""Right backwards in torch: functions of tensors, ``autograd.Function`` classes, modules, and torch's own."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

from tests.habits import RIGHT, Habit, right


@right("layernorm", names={"dout": "dy", "w": "gamma", "mean": "mu"}, axes=2)
def of_a_language_model(dout, x, w, mean, rstd):
    norm = (x - mean) * rstd
    db = dout.sum((0, 1))
    dw = (dout * norm).sum((0, 1))
    dnorm = dout * w
    dx = dnorm - dnorm.mean(-1, keepdim=True) - norm * (dnorm * norm).mean(-1, keepdim=True)
    dx *= rstd
    return dx, dw, db


@right("layernorm")
def rows_flattened(dy, xhat, rstd, gamma):
    d = dy.shape[-1]
    up, hats = dy.reshape(-1, d), xhat.reshape(-1, d)
    g = up * gamma
    dx = g - g.mean(1, keepdim=True) - hats * (g * hats).mean(1, keepdim=True)
    dx = (dx * rstd.reshape(-1, 1)).reshape(dy.shape)
    return dx, (up * hats).sum(0), up.sum(0)


@right("rmsnorm", names={"weight": "gamma"})
def rms_of_a_language_model(dy, x, weight, rstd):
    h = dy * weight
    dx = rstd * h - rstd.pow(3) * x * (h * x).mean(-1, keepdim=True)
    dw = (dy * x * rstd).flatten(0, -2).sum(0)
    return {"dx": dx, "dgamma": dw}


@right("softmax_cross_entropy")
def one_hot_subtracted(dloss, p, t):
    return dloss * (p - F.one_hot(t, p.shape[1]).to(p.dtype)) / t.numel()


@right("embedding")
def index_added(dy, table, t):
    dtable = torch.zeros_like(table)
    dtable.index_add_(0, t.reshape(-1), dy.reshape(-1, table.shape[1]))
    return dtable


@right("linear", axes=1, names={"grad_output": "dy", "input": "x", "weight": "W"}, layout=("W[h, k]",))
def linear_of_the_manual(grad_output, input, weight):
    grad_input = grad_output.mm(weight)
    grad_weight = grad_output.t().mm(input)
    grad_bias = grad_output.sum(0)
    return grad_input, grad_weight, grad_bias


@right("tanh")
class Tanh(torch.autograd.Function):
    @staticmethod
    def forward(ctx, input):
        output = torch.tanh(input)
        ctx.save_for_backward(output)
        return output

    @staticmethod
    def backward(ctx, grad_output):
        (output,) = ctx.saved_tensors
        return grad_output * (1 - output * output)


@right("relu")
class ReLU(torch.autograd.Function):
    """As in torch's own tutorial: the derivative at 0 is 1."""

    @staticmethod
    def forward(ctx, input):
        ctx.save_for_backward(input)
        return input.clamp(min=0)

    @staticmethod
    def backward(ctx, grad_output):
        (input,) = ctx.saved_tensors
        grad_input = grad_output.clone()
        grad_input[input < 0] = 0
        return grad_input


@right("linear", layout=("W[h, k]",), axes=1)
class Linear(torch.autograd.Function):
    """As in torch's notes on extending it."""

    @staticmethod
    def forward(ctx, input, weight, bias):
        ctx.save_for_backward(input, weight)
        return input.mm(weight.t()) + bias

    @staticmethod
    def backward(ctx, grad_output):
        input, weight = ctx.saved_tensors
        return grad_output.mm(weight), grad_output.t().mm(input), grad_output.sum(0)


@right("rmsnorm")
class RMSNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, gamma, eps):
        rstd = torch.rsqrt(x.square().mean(-1, keepdim=True) + eps)
        ctx.save_for_backward(x, gamma, rstd)
        return x * rstd * gamma

    @staticmethod
    def backward(ctx, dy):
        x, gamma, rstd = ctx.saved_tensors
        xhat = x * rstd
        g = dy * gamma
        dx = rstd * (g - xhat * (g * xhat).mean(-1, keepdim=True))
        return dx, (dy * xhat).reshape(-1, x.shape[-1]).sum(0), None


@right("softmax_cross_entropy")
class CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx, logits, labels):
        logp = F.log_softmax(logits, dim=1)
        ctx.save_for_backward(logp, labels)
        return -logp[torch.arange(len(labels)), labels].mean()

    @staticmethod
    def backward(ctx, grad_output):
        logp, labels = ctx.saved_tensors
        grad = logp.exp()
        grad[torch.arange(len(labels)), labels] -= 1
        return grad * grad_output / len(labels), None


@right("attention")
def attention_forward(q, k, v):
    P = torch.softmax(q @ k.mT / math.sqrt(q.shape[-1]), dim=-1)
    return P @ v


@right("gelu")
def gelu_forward(x):
    return 0.5 * x * (1 + torch.erf(x / math.sqrt(2)))


@right("silu")
def silu_of_gate(dy, x):
    s = torch.sigmoid(x)
    return dy * s * (1 + x * (1 - s))


#: Modules, which are torch's own and need no other judge.
MODULES = [
    Habit(nn.Linear(4, 3), "linear"),
    Habit(nn.Linear(4, 4), "linear"),
    Habit(nn.LayerNorm(5, eps=1e-3), "layernorm"),
    Habit(nn.RMSNorm(6, eps=1e-6), "rmsnorm"),
    Habit(nn.BatchNorm1d(3), "batchnorm"),
    Habit(nn.BatchNorm2d(3, eps=1e-2), "batchnorm"),
    Habit(nn.Embedding(7, 4), "embedding"),
    Habit(nn.Softmax(dim=-1), "softmax"),
    Habit(nn.CrossEntropyLoss(), "softmax_cross_entropy"),
    Habit(nn.GELU(), "gelu"),
]

__all__ = ["MODULES", "RIGHT"]
