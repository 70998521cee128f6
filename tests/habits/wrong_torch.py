"""Wrong backwards in torch: functions of tensors and ``autograd.Function`` classes."""

from __future__ import annotations

import torch

from tests.habits import wrong


@wrong("layernorm", "memory", "is strided: it raised RuntimeError")
def viewed_rows(dy, xhat, rstd, gamma):
    d = dy.shape[-1]
    up, hats = dy.view(-1, d), xhat.reshape(-1, d)
    g = up * gamma
    dx = g - g.mean(1, keepdim=True) - hats * (g * hats).mean(1, keepdim=True)
    return (dx * rstd.reshape(-1, 1)).reshape(dy.shape), (up * hats).sum(0), up.sum(0)


@wrong("linear", "memory", "dy is strided")
def viewed_gradient(dy, x, W):
    up, rows = dy.view(-1, dy.size(-1)), x.reshape(-1, x.size(-1))
    return (up @ W.t()).reshape(x.shape), rows.t() @ up, up.sum(0)


@wrong("tanh", "memory", "dy is strided")
def viewed_flat(dy, y):
    return (dy.view(-1) * (1 - y.reshape(-1) ** 2)).view(y.shape)


@wrong("relu", "memory", "dy is")
def seen_by_stride(dy, x):
    return torch.as_strided(dy, x.shape, x.contiguous().stride()) * (x > 0)


@wrong("tanh", "memory", "dy is strided")
class TanhOfViews(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        y = torch.tanh(x)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, grad_output):
        (y,) = ctx.saved_tensors
        return (grad_output.view(-1) * (1 - y.reshape(-1) ** 2)).view(y.shape)


@wrong("tanh", "writes", "it writes to dy")
def multiplied_in_place(dy, y):
    return dy.mul_(1 - y * y)


@wrong("relu", "writes", "it writes to dy")
def filled_in_place(dy, x):
    return dy.masked_fill_(x <= 0, 0)


@wrong("sigmoid", "writes", "it writes to dy")
class SigmoidInPlace(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        y = torch.sigmoid(x)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, grad_output):
        (y,) = ctx.saved_tensors
        return grad_output.mul_(y * (1 - y))


@wrong("softmax_cross_entropy", "writes", "it writes to p")
def probabilities_in_place(dloss, p, t):
    p[torch.arange(len(t)), t] -= 1
    return p * (dloss / len(t))


@wrong("tanh", "dtype", "float64 where the arguments are float32")
def in_double(dy, y):
    return dy.double() * (1 - y * y)


@wrong("softmax", "dtype", "float32 where the arguments are float64")
def in_single(dp, p):
    up, q = dp.float(), p.float()
    return q * (up - (up * q).sum(-1, keepdim=True))


@wrong("softmax", "dtype", "float16")
def in_half(dp, p):
    return (p * (dp - (dp * p).sum(-1, keepdim=True))).half()


@wrong("embedding", "raises", "RuntimeError")
def zeros_of_the_default_dtype(dy, table, t):
    dtable = torch.zeros(table.shape)
    return dtable.index_add(0, t.reshape(-1), dy.reshape(-1, dy.shape[-1]))


@wrong("linear", "raises", "only with *s as one axis")
def matrices_of_rows(dy, x, W):
    return dy @ W.t(), x.t() @ dy, dy.flatten(0, -2).sum(0)


@wrong("linear", "raises", "returned an invalid gradient", axes=1)
class LinearTransposed(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, W, b):
        ctx.save_for_backward(x, W)
        return x @ W + b

    @staticmethod
    def backward(ctx, grad_output):
        x, W = ctx.saved_tensors
        return grad_output @ W.t(), grad_output.t() @ x, grad_output.sum(0)


@wrong("rmsnorm", "value", "dx")
class RMSNormWithoutItsSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, gamma, eps):
        rstd = torch.rsqrt(x.square().mean(-1, keepdim=True) + eps)
        ctx.save_for_backward(x, gamma, rstd)
        return x * rstd * gamma

    @staticmethod
    def backward(ctx, dy):
        x, gamma, rstd = ctx.saved_tensors
        dx = rstd * dy * gamma
        return dx, (dy * x * rstd).reshape(-1, x.shape[-1]).sum(0), None


@wrong("layernorm", "value", "it is not what layernorm computes")
class LayerNormOfAnotherForward(torch.autograd.Function):
    """The gradient is that of its forward, which divides by the sample's deviation."""

    @staticmethod
    def forward(ctx, x, gamma, beta, eps):
        with torch.enable_grad():
            leaves = [v.detach().requires_grad_() for v in (x, gamma, beta)]
            c = leaves[0] - leaves[0].mean(-1, keepdim=True)
            y = c / (c.var(-1, keepdim=True) + eps).sqrt() * leaves[1] + leaves[2]
        ctx.leaves, ctx.y = leaves, y
        return y.detach()

    @staticmethod
    def backward(ctx, dy):
        return *torch.autograd.grad(ctx.y, ctx.leaves, dy), None


@wrong("batchnorm", "value", "", axes=(0, 1, 2))
def kept_and_not_reduced(dy, x, mu, rstd, gamma):
    dims = [0, *range(2, x.dim())]
    shape = [1, -1] + [1] * (x.dim() - 2)
    xhat = (x - mu) * rstd
    g = dy * gamma.view(shape)
    dx = rstd * (g - g.mean(dims, keepdim=True) - xhat * (g * xhat).mean(dims[0], keepdim=True))
    return {"dx": dx, "dgamma": (dy * xhat).sum(dims), "dbeta": dy.sum(dims)}
